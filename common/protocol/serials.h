/* urn:stoa:serials:1 (protocol.md section 2) as structs, for both sides. */
#pragma once

#include "common/base/secret.h"
#include "common/protocol/tree.h"

#define NS_SERIALS "urn:stoa:serials:1"

#define SERIAL_MAX_LENGTH 4096 /* bytes of a serial */
#define SERIALS_MAX_ENTRIES 1000

typedef enum
{
  SERIAL_ACTIVE,
  SERIAL_SUSPENDED, /* a dispute is open */
  SERIAL_EXPIRED,
  SERIAL_REVOKED,
} SerialState;

const char *serial_state_to_text (SerialState state);
gboolean serial_state_from_text (const char *text, SerialState *state);

typedef struct
{
  char *plugin;
  char *name; /* for people */
  SerialState state;
  char *user;        /* the pairwise name of this user with the plugin's vendor */
  gint64 expires_us; /* 0: for ever */
  gint64 epoch;
  Secret *serial; /* only when active */
} SerialEntry;

SerialEntry *serial_entry_new (void);
SerialEntry *serial_entry_copy (const SerialEntry *entry);
void serial_entry_free (SerialEntry *entry);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SerialEntry, serial_entry_free)

/* `<serials/>`: a request, an answer, or a push. */
typedef struct
{
  char *ver;            /* NULL: the client holds none */
  char *since;          /* of a push: what it builds on; NULL otherwise */
  gboolean is_unchanged; /* of an answer: the client's `ver` is current */
  GPtrArray *entries;   /* of SerialEntry, owned */
} Serials;

Serials *serials_new (const char *ver);
void serials_free (Serials *serials);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Serials, serials_free)

/* Appends the element. The text holds serials: the caller wipes it when it was sent. */
void serials_write (const Serials *serials, GString *out);
/* NULL with PROTOCOL_ERROR if @element is not such an element. Unknown children are passed over. */
Serials *serials_read (xmpp_stanza_t *element, GError **error);
/* One `<plugin/>`, as `rejected` is answered with. */
void serial_entry_write (const SerialEntry *entry, GString *out);
SerialEntry *serial_entry_read (xmpp_stanza_t *element, GError **error);

typedef enum
{
  SERIAL_REJECTED_BAD,
  SERIAL_REJECTED_EXPIRED,
} SerialRejectedReason;

/* `<rejected/>`: a plugin refused its serial. */
typedef struct
{
  char *plugin;
  SerialRejectedReason reason;
  gint64 epoch; /* of the refused serial; -1: the current one */
} SerialRejected;

void serial_rejected_clear (SerialRejected *rejected);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SerialRejected, serial_rejected_clear)
void serial_rejected_write (const SerialRejected *rejected, GString *out);
/* Fills @rejected; FALSE with PROTOCOL_ERROR, and then there is nothing to clear. */
gboolean serial_rejected_read (xmpp_stanza_t *element, SerialRejected *rejected, GError **error);
