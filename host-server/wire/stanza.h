/* A stanza as it passes through the server: the root's attributes, the names of its children, and the raw
 * bytes between the root's tags. The payload never becomes a tree here.
 *
 * A Stanza that a callback receives is lent for the length of the call; stanza_copy() keeps one. What is
 * written again is written under a new root by stanza_write(): the payload's slice goes out as it came in. */
#pragma once

#include "host-server/wire/jid.h"

typedef enum
{
  STANZA_MESSAGE,
  STANZA_PRESENCE,
  STANZA_IQ,
} StanzaKind;

/* RFC 6121 §5.2.2, §4.7.1 and RFC 6120 §8.2.3. STANZA_TYPE_NONE is the absent attribute: a "normal" message,
 * an available presence. Reading refuses a type that does not belong to the kind (bad-request), but for an
 * unknown message type, which is "normal" (§5.2.2). */
typedef enum
{
  STANZA_TYPE_NONE,
  STANZA_TYPE_ERROR,
  /* messages */
  STANZA_TYPE_NORMAL,
  STANZA_TYPE_CHAT,
  STANZA_TYPE_GROUPCHAT,
  STANZA_TYPE_HEADLINE,
  /* presence */
  STANZA_TYPE_UNAVAILABLE,
  STANZA_TYPE_SUBSCRIBE,
  STANZA_TYPE_SUBSCRIBED,
  STANZA_TYPE_UNSUBSCRIBE,
  STANZA_TYPE_UNSUBSCRIBED,
  STANZA_TYPE_PROBE,
  /* IQs */
  STANZA_TYPE_GET,
  STANZA_TYPE_SET,
  STANZA_TYPE_RESULT,
} StanzaType;

/* The attribute's value; NULL for STANZA_TYPE_NONE. */
const char *stanza_type_to_text (StanzaType type);

typedef struct
{
  const char *name;  /* local name */
  const char *ns;    /* namespace, "" if none */
  const char *start; /* the whole element, in the payload */
  gsize length;
} StanzaChild;

typedef struct Stanza Stanza;

struct Stanza
{
  StanzaKind kind;
  StanzaType type;
  const char *id;   /* unescaped; NULL if absent */
  const Jid *to;    /* NULL if absent */
  const Jid *from;  /* the sender's full address, put there by the session, never by the peer */
  const char *lang; /* xml:lang of the root or else of its stream; NULL if neither */
  const char
      *rest; /* the root's other attributes and prefix declarations, escaped, each with a leading space */
  gsize rest_length;
  const char *payload; /* the bytes between the root's start and end tags */
  gsize payload_length;
  const StanzaChild *children; /* the payload's top level, in order */
  guint n_children;
};

/* The first child of that name and namespace; NULL if there is none. */
const StanzaChild *stanza_find_child (const Stanza *stanza, const char *name, const char *ns);
/* A copy that owns all it points to, and its release. */
Stanza *stanza_copy (const Stanza *stanza);
void stanza_free (Stanza *stanza);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Stanza, stanza_free)

/* Makes a Stanza of an element as the reader gives it; it leans on the element and on @scratch. @to and @from
 * are the prepared addresses (lent; the caller looks at the attributes), @stream_lang may be NULL. FALSE if
 * it is no stanza of this kind: the type is none of the kind's, or an IQ's type or id is missing
 * (bad-request). */
typedef struct XmlElement XmlElement;
gboolean stanza_read (const XmlElement *element, StanzaKind kind, const Jid *to, const Jid *from,
                      const char *stream_lang, GString *scratch, Stanza *stanza);

/* How a stanza is written again. Zeroed, it changes nothing. */
typedef struct
{
  const Jid *from;     /* instead of the stanza's; NULL: the stanza's */
  const Jid *to;       /* instead of the stanza's; NULL: the stanza's */
  gboolean bare_from;  /* RFC 6121 §3.1.2: subscription presence comes from the bare address */
  gboolean with_xmlns; /* writes xmlns='jabber:client': there is no stream around it (storage, forwarding) */
  const char *append;  /* XML put behind the payload (a delay stamp); NULL: none */
  gboolean is_kept;    /* the room keeps a copy: undelivered, it does not come to the undelivered hooks */
} StanzaRoot;

/* Appends @stanza to @out under its new root. */
void stanza_write (const Stanza *stanza, const StanzaRoot *root, GString *out);

/* Reads one stanza from @bytes, as stanza_write() stored it with `with_xmlns`; NULL if it is not one. Not for
 * the message path. */
Stanza *stanza_new_from_bytes (const char *bytes, gsize length);

/* The character data of the first child of that name and namespace, unescaped; NULL if absent or not simple
 * text. For what the server itself must read (priority, a status); the caller frees it. */
char *stanza_dup_child_text (const Stanza *stanza, const char *name, const char *ns);

/* The same of the first @inner (a local name) inside that child. */
char *stanza_dup_inner_text (const Stanza *stanza, const char *name, const char *ns, const char *inner);

/* RFC 6120 §8.3: the stanza errors that rooms answer with. */
typedef enum
{
  STANZA_ERROR_BAD_REQUEST,
  STANZA_ERROR_CONFLICT,
  STANZA_ERROR_FEATURE_NOT_IMPLEMENTED,
  STANZA_ERROR_FORBIDDEN,
  STANZA_ERROR_GONE,
  STANZA_ERROR_INTERNAL_SERVER_ERROR,
  STANZA_ERROR_ITEM_NOT_FOUND,
  STANZA_ERROR_JID_MALFORMED,
  STANZA_ERROR_NOT_ACCEPTABLE,
  STANZA_ERROR_NOT_ALLOWED,
  STANZA_ERROR_NOT_AUTHORIZED,
  STANZA_ERROR_POLICY_VIOLATION,
  STANZA_ERROR_RECIPIENT_UNAVAILABLE,
  STANZA_ERROR_REGISTRATION_REQUIRED,
  STANZA_ERROR_REMOTE_SERVER_NOT_FOUND,
  STANZA_ERROR_RESOURCE_CONSTRAINT,
  STANZA_ERROR_SERVICE_UNAVAILABLE,
  STANZA_ERROR_SUBSCRIPTION_REQUIRED,
  STANZA_ERROR_UNDEFINED_CONDITION,
  STANZA_ERROR_UNEXPECTED_REQUEST,
} StanzaError;

/* The condition's element name. */
const char *stanza_error_to_text (StanzaError error);

/* The error reply to @stanza (its sender, id and kind), from the address it was sent to, with the type that
 * RFC 6120 §8.3.3 gives the condition. @text (may be NULL) is plain text for people; @application (may be
 * NULL) is XML in a namespace of its own. Appends nothing for a stanza that must not be answered (an error,
 * an IQ result). */
void stanza_write_error (const Stanza *stanza, StanzaError error, const char *text, const char *application,
                         GString *out);
