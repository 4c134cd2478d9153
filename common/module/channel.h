/* One end of a frame channel: a SOCK_SEQPACKET socket. No GLib here: the runner links it.
 *
 * Descriptors pass only where a receiver asks for them, which is in known places: the supervisor takes a
 * start request's, a host the notification listener that comes with READY, a server module's runner the
 * channel of a call. Elsewhere the control buffer has room for one `struct ucred` and nothing else, so that
 * what a hostile sender attaches never enters the process. */
#pragma once

#include "common/module/frame.h"
#include <sys/types.h>

#define CHANNEL_MAX_FDS 2

typedef enum
{
  CHANNEL_FRAME,  /* a frame was received or sent */
  CHANNEL_AGAIN,  /* nothing there, or no room: only on a socket that does not block */
  CHANNEL_CLOSED, /* the other end is gone */
  CHANNEL_BROKEN, /* what came is not a packet of this protocol, or errno says what failed */
} ChannelResult;

/* What the kernel says of a packet: it attests the sender, and not the packet's own words. */
typedef struct
{
  size_t n_bytes;
  pid_t pid; /* the sending process; 0 where the receiver has not asked to know (SO_PASSCRED) */
  uid_t uid;
  int fds[CHANNEL_MAX_FDS]; /* the receiver owns them; -1 where there is none */
} ChannelReceipt;

/* Makes a connected pair, both close-on-exec; end 0 is the host's: it does not block, and learns who sends.
 * False with errno. */
bool channel_pair (int ends[2]);

/* Sends a whole frame with up to CHANNEL_MAX_FDS descriptors, which stay the caller's. A frame that is not
 * whole is CHANNEL_BROKEN. */
ChannelResult channel_send (int fd, const Frame *frame);
ChannelResult channel_send_with (int fd, const Frame *frame, const int *fds, size_t n_fds);

/* Receives one packet into @frame. At most @max_fds descriptors are taken; with 0 none enter the process.
 * More than that, or a truncated packet, is CHANNEL_BROKEN (and what was taken is closed). @receipt is filled
 * for CHANNEL_FRAME. The frame is not judged: see frame_check(). */
ChannelResult channel_receive (int fd, Frame *frame, ChannelReceipt *receipt, size_t max_fds);
