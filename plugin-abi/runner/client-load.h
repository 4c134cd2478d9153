/* The load request of a client plugin, as the legacy and the native part of the runner read it. No GLib. */
#pragma once

#include "common/module/descriptor.h"
#include "plugin-abi/runner/runner.h"

/* Texts are copies that live as long as the process: old libraries keep the pointers they are given. */
typedef struct
{
  bool is_to_run; /* else only to be verified */
  Descriptor *descriptor;
  char *user;
  char *jid; /* "" without identity=yes */
  char *domain;
  char *serial; /* "" if there is none */
  char *locale;
  char *datadir; /* "" if there is none */
  int64_t expiry;
} ClientLoad;

/* Reads the request and the descriptor in it. False: @answer says why not. */
bool client_load_read (ClientLoad *load, Runner *runner, DescriptorKind kind, FrameReader *request,
                       const FrameHeader *header, Frame *answer);

/* Answers FRAME_OP_PHASE and FRAME_OP_COMMAND. @text (nullable) is cut to what a frame holds. */
void client_answer_phase (Frame *answer, DescriptorClass class, int64_t expires, const char *text);
void client_answer_command (Frame *answer, DescriptorClass class, const char *text);
