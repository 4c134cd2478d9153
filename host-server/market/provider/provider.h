/* A billing provider: what the market asks of it, and how its callbacks are read.
 *
 * A provider of another kind is one file with a ProviderType and one line in provider-types.h. What
 * the provider says is untrusted until its functions have read it: lengths, alphabets and ranges are checked
 * here, once. Calls run on the main context and end in exactly one callback; none of them retries by itself,
 * a job does. */
#pragma once

#include "common/net/http-client.h"
#include "common/net/http-server.h"
#include "common/net/webhook.h"

#define PROVIDER_MAX_ID       255 /* bytes of the provider's ids: printable ASCII without spaces */
#define PROVIDER_MAX_AMOUNT   G_GINT64_CONSTANT (9007199254740991) /* 2^53 - 1, money.md */
#define PROVIDER_MAX_PAYMENTS 64                                   /* of one checkout that are read */

typedef struct Provider Provider;
typedef struct ProviderType ProviderType;

/* How a call ended. */
typedef enum
{
  PROVIDER_OK,
  PROVIDER_REFUSED,   /* a final no to this request */
  PROVIDER_CONFLICT,  /* a cancel came after the payment; the report says so */
  PROVIDER_BROKEN,    /* a definite answer that is a failure of the provider's (5xx): it may be repeated under
                         this key */
  PROVIDER_UNCERTAIN, /* no answer, or not one we understand: it may have acted; the same key again */
  PROVIDER_FAULT,     /* our configuration is wrong (401, 403, TLS): alarm, and try again */
} ProviderOutcome;

typedef enum
{
  CHECKOUT_OPEN,
  CHECKOUT_PAID,
  CHECKOUT_DECLINED,
  CHECKOUT_EXPIRED,
  CHECKOUT_PENDING, /* the buyer has done his part and the money is under way: neither paid nor over */
} CheckoutStatus;

typedef enum
{
  PROVIDER_REFUND_PENDING,
  PROVIDER_REFUND_DONE,
  PROVIDER_REFUND_REFUSED,
} ProviderRefundStatus;

/* Something that happened to money, by callback or found when asking. */
typedef enum
{
  MONEY_PAYMENT,
  MONEY_DECLINED,
  MONEY_EXPIRED,
  MONEY_REFUND,
  MONEY_DISPUTE,
  MONEY_DISPUTE_WON,
  MONEY_DISPUTE_LOST,
  MONEY_OTHER, /* authentic, of a type this version does not know */
} MoneyEventKind;

typedef struct
{
  MoneyEventKind kind;
  char *merchant;      /* NULL: the provider names none, the key or secret says it */
  char *order;         /* NULL: not said; it is the order of @payment in the ledger */
  char *checkout;      /* NULL: not said */
  char *payment;       /* NULL where the kind has none */
  gboolean is_total;   /* MONEY_REFUND: the amount is all that was given back of @payment so far, and @refund
                          is NULL; the ledger makes the difference of it */
  char *refund;        /* MONEY_REFUND */
  char *dispute;       /* MONEY_DISPUTE… */
  gint64 amount_minor; /* the event's own; 0 where the kind has none */
  char *currency;      /* NULL where the kind has none */
  gboolean is_live;
} MoneyEvent;

MoneyEvent *money_event_new (void);
MoneyEvent *money_event_copy (const MoneyEvent *event);
void money_event_free (MoneyEvent *event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (MoneyEvent, money_event_free)

/* One checkout of a list, as the provider sees it. */
typedef struct
{
  const char *checkout;
  const char *order;
  CheckoutStatus status;
  gint64 amount_minor; /* that was asked for */
  char currency[4];
  const GPtrArray *events; /* as of ProviderReply.events */
} ProviderReport;

/* The answer to a call; lent to the callback. Only what belongs to the call is set. */
typedef struct
{
  ProviderOutcome outcome;
  const char *reason;   /* for the log and the order; never NULL, no secrets */
  gint64 retry_after_s; /* -1: not said */
  const char *checkout;
  const char *url;   /* acceptable to http_url_is_for_browsers() */
  gint64 expires_us; /* of a new checkout, if it ends at another time than asked for; 0: then */
  const char *order; /* of a report */
  CheckoutStatus status;
  gint64 amount_minor; /* of a report: what was asked for */
  const char *currency;
  const GPtrArray *events; /* of a report: MoneyEvents of its payments, refunds and disputes, in that order */
  const char *refund;
  ProviderRefundStatus refund_status;
  gint64 refunded_minor;    /* with a refund: what was given back of its payment in all, if the provider keeps
                               running totals; 0: refunds count one by one */
  const GPtrArray *reports; /* of a list: ProviderReports, in the provider's order */
  const char *next; /* of a list: what to pass as `after` for the next page; NULL: that was the last */
} ProviderReply;

typedef void (*ProviderDone) (const ProviderReply *reply, gpointer data);

typedef struct
{
  const char *key; /* idempotency key: the order's id, or `<order>.<n>` */
  const char *order;
  gint64 amount_minor;
  const char *currency;
  const char *description;
  const char *buyer; /* pairwise name */
  gint64 created_us; /* of the order */
  gint64 expires_us;
} CheckoutRequest;

typedef struct
{
  const char *key; /* the refund row's id */
  const char *payment;
  gint64 amount_minor;
  const char *currency;
  const char *reason;
} RefundRequest;

struct ProviderType
{
  const char *name;         /* `type=` in `[billing NAME]` */
  GDestroyNotify free_call; /* frees what stands in Provider.calls */

  /* Whether the configuration makes sense for this type; FALSE with @error, which begins with the key's name.
   * NULL: nothing to add. */
  gboolean (*check) (const Provider *provider, GError **error);
  /* Adds a webhook secret as this type writes it; like webhook_ring_add(). */
  gboolean (*add_secret) (WebhookRing *ring, const Secret *text, gint64 not_before_us, gint64 not_after_us,
                          GError **error);
  /* Whether the buyer's browser has to be sent somewhere after paying: then there is a page of ours at
   * provider_dup_return_url(). */
  gboolean has_return_page;

  void (*create_checkout) (Provider *provider, const CheckoutRequest *request, ProviderDone done,
                           gpointer data);
  void (*get_checkout) (Provider *provider, const char *checkout, ProviderDone done, gpointer data);
  void (*cancel_checkout) (Provider *provider, const char *checkout, ProviderDone done, gpointer data);
  void (*create_refund) (Provider *provider, const RefundRequest *request, ProviderDone done, gpointer data);
  void (*get_refund) (Provider *provider, const char *refund, ProviderDone done, gpointer data);
  /* A page of the checkouts made at or after @since_us. @after is the `next` of the page before, NULL at
   * first. A page may repeat what the one before had. */
  void (*list_checkouts) (Provider *provider, gint64 since_us, const char *after, ProviderDone done,
                          gpointer data);

  /* The headers that verify() looks at, for the route. */
  const char *const *callback_headers;
  gsize max_callback; /* bytes of its body; more is 413 */
  /* Whether a delivery is authentic: 200, or the status to refuse it with (400, 401, 413). If it is,
   * *@delivery_id is what it is told from others by (the caller frees it), and *@key the index of the ring's
   * key that matched. */
  int (*verify) (const Provider *provider, const WebhookRing *ring, const HttpExchange *exchange,
                 gint64 now_us, char **delivery_id, guint *key);
  /* What an authentic body says; NULL with @error (G_IO_ERROR_INVALID_DATA) if it is not JSON, a field is
   * missing or out of range, or a person has to look at it. Pure, and callable on any thread. */
  MoneyEvent *(*read_event) (const void *body, gsize length, GError **error);
  /* Whether two bodies that came under one delivery id say the same. NULL: only the same bytes do. */
  gboolean (*is_same_event) (const void *body, gsize length, const void *other, gsize other_length);
};

struct Provider
{
  const ProviderType *type;
  char *name; /* NAME of `[billing NAME]`, the last part of the callback's path */
  char *merchant;
  gboolean is_live;
  HttpBase *base;
  Secret *api_key;
  char *callback_url; /* NULL: it cannot call us */
  guint timeout_ms;
  HttpClient *http; /* lent */
  GHashTable
      *calls; /* the type's own records of calls under way; freed with the provider if no answer came */
};

/* The types this program knows. NULL if there is none of that name. */
const ProviderType *provider_type_find (const char *name);
/* Where a buyer's browser goes after paying; NULL while there is no callback_url. The caller frees it. */
char *provider_dup_return_url (const Provider *provider);
/* Orders that no user made: those of `hostctl billing check`. What is said about them changes nothing. */
#define PROVIDER_CHECK_PREFIX "check_"
gboolean provider_is_check_order (const char *order);
/* An id as a provider may make it: 1 to 255 bytes of printable ASCII without spaces. */
gboolean provider_id_is_valid (const char *id);
void provider_free (Provider *provider);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Provider, provider_free)

#define PROVIDER_TYPE(name) extern const ProviderType provider_##name;
#include "host-server/market/provider/provider-types.h"
#undef PROVIDER_TYPE
