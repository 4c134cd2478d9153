/* What crosses from the connection's thread: our own structs, read from libstrophe's tree, and the XML text
 * that goes the other way. Trees are only ever read (they lose namespaces and newlines), and never kept. */
#pragma once

#include <glib.h>
#include <strophe.h>

/* RFC 6120 §8.3: an error of a stanza. Strings are never NULL but where said. */
typedef struct
{
  char *type;        /* "auth", "cancel", "modify", "wait" or what else the peer wrote */
  char *condition;   /* "item-not-found"; "undefined-condition" if there was none */
  char *application; /* local name of the first application-specific child; NULL: none */
  char *detail;      /* its `kind` or `reason` attribute; NULL: none */
  char *text;        /* NULL: none */
} StanzaError;

/* The error of @stanza, whose type is 'error'. The caller frees it. */
StanzaError *stanza_error_read (xmpp_stanza_t *stanza);
void stanza_error_free (StanzaError *error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (StanzaError, stanza_error_free)

/* A message with a body, or the bounce of one (@error set). */
typedef struct
{
  char *from;   /* full or bare JID as the server stamped it */
  char *id;     /* NULL: none */
  char *origin; /* XEP-0359 origin-id; NULL: none */
  char *body;
  gint64 stamp_us; /* XEP-0203, else 0 */
  StanzaError *error;
} Message;

/* NULL if @stanza carries nothing to show: no body and no error, or a body over MESSAGE_BODY_MAX. */
Message *message_read (xmpp_stanza_t *stanza);
void message_free (Message *message);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Message, message_free)

#define MESSAGE_BODY_MAX 65536

typedef enum
{
  PRESENCE_AVAILABLE,
  PRESENCE_UNAVAILABLE,
  PRESENCE_SUBSCRIBE,
  PRESENCE_SUBSCRIBED,
  PRESENCE_UNSUBSCRIBE,
  PRESENCE_UNSUBSCRIBED,
  PRESENCE_ERROR,
} PresenceKind;

typedef struct
{
  PresenceKind kind;
  char *from;
  char *show;   /* "away", "chat", "dnd", "xa"; NULL: simply available */
  char *status; /* NULL: none */
  int priority;
} Presence;

/* NULL if the type is none of those above. */
Presence *presence_read (xmpp_stanza_t *stanza);
void presence_free (Presence *presence);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Presence, presence_free)

/* A chat message as XML text. @id is also its origin-id, so that a second sending after a lost connection can
 * be told from a second message. @stamp_us is 0, or when the user wrote it if that was long ago. */
char *message_write (const char *to, const char *id, const char *body, gint64 stamp_us);
char *presence_write (const char *to, const char *type);
/* @payload is XML text, NULL for an empty IQ; @to NULL: the account itself. */
char *iq_write (const char *type, const char *to, const char *id, const char *payload);

/* Whether @element is {@ns}@name. */
gboolean stanza_is (xmpp_stanza_t *element, const char *ns, const char *name);
/* The text of @stanza's child @name, NULL if there is none; g_free() it. */
char *stanza_dup_child_text (xmpp_stanza_t *stanza, const char *name);
