/* The one table of the configuration file's keys; config.c alone includes it. docs/operator-guide describes
 * each. */
#pragma once

#include <glib.h>

typedef enum
{
  KEY_TEXT,
  KEY_DOMAIN,       /* an XMPP domain, prepared */
  KEY_ADDRESS,      /* host:port */
  KEY_URL,          /* https, or http to a loopback address */
  KEY_CHOICE,       /* one of the words in `values` */
  KEY_BOOL,         /* true or false */
  KEY_INT,          /* from min to max */
  KEY_SECONDS,      /* a number, fractions allowed, from min to max */
  KEY_SECONDS_LIST, /* such numbers with commas between them */
  KEY_BYTES,        /* a number with K, M or G behind it if wanted, from min to max */
} KeyType;

typedef enum
{
  KEY_PLAIN = 0,
  KEY_REQUIRED = 1 << 0,
  KEY_RELOADS = 1 << 1, /* SIGHUP may change it */
  KEY_SECRET = 1 << 2,  /* its value is in no error */
} KeyFlags;

typedef struct
{
  const char *group; /* the kind, for groups `[kind NAME]` */
  const char *key;
  KeyType type;
  KeyFlags flags;
  const char *fallback; /* the default as it would be written; NULL: none */
  gint64 min;
  gint64 max;
  const char *values; /* KEY_CHOICE: words with a space between them */
} Key;

/* The groups that stand in the file once for each name: `[billing NAME]`. */
static const char *const named_kinds[] = { "billing", NULL };

#define WEEK  604800
#define LIMIT KEY_INT, KEY_RELOADS
#define SIZE  KEY_BYTES, KEY_RELOADS

static const Key keys[] = {
  { "server", "domain", KEY_DOMAIN, KEY_REQUIRED },
  { "server", "data", KEY_TEXT, KEY_REQUIRED },

  { "xmpp", "listen", KEY_ADDRESS, KEY_PLAIN, "[::]:5222" },
  { "xmpp", "direct_tls_listen", KEY_ADDRESS },
  { "xmpp", "certificate", KEY_TEXT, KEY_RELOADS },
  { "xmpp", "private_key", KEY_TEXT, KEY_RELOADS },
  { "xmpp", "tls", KEY_CHOICE, KEY_PLAIN, "required", .values = "required optional" },
  { "xmpp", "channel_binding", KEY_CHOICE, KEY_PLAIN, "off", .values = "off" },
  { "xmpp", "engine", KEY_CHOICE, KEY_PLAIN, "builtin", .values = "builtin" },

  { "http", "listen", KEY_ADDRESS },
  { "http", "public_url", KEY_URL },
  { "http", "metrics", KEY_CHOICE, KEY_PLAIN, "loopback", .values = "loopback open off" },
  { "http", "certificate", KEY_TEXT, KEY_RELOADS },
  { "http", "private_key", KEY_TEXT, KEY_RELOADS },

  { "store", "url", KEY_TEXT },
  { "store", "key_file", KEY_TEXT },

  { "registration", "open", KEY_BOOL, KEY_PLAIN, "false" },

  /* market/provider/provider-types.h has the types to choose from. */
  { "billing", "type", KEY_TEXT, KEY_PLAIN, "standard" },
  { "billing", "mode", KEY_CHOICE, KEY_PLAIN, "live", .values = "live test" },
  { "billing", "merchant", KEY_TEXT, KEY_REQUIRED },
  { "billing", "base", KEY_URL, KEY_REQUIRED },
  { "billing", "api_key", KEY_TEXT, KEY_REQUIRED | KEY_SECRET },
  { "billing", "webhook_secret", KEY_TEXT, KEY_REQUIRED | KEY_SECRET },

  /* docs: money. Seconds may be fractions, so that tests run fast. */
  { "market", "order_expiry_s", KEY_SECONDS, KEY_PLAIN, "1800", 0, WEEK },
  { "market", "poll_s", KEY_SECONDS_LIST, KEY_PLAIN, "5,15,60,300", 0, WEEK },
  { "market", "keygen_retry_s", KEY_SECONDS_LIST, KEY_PLAIN, "0,1,5,30", 0, WEEK },
  { "market", "vendor_timeout_s", KEY_SECONDS, KEY_PLAIN, "10", 0, 3600 },
  { "market", "issue_deadline_s", KEY_SECONDS, KEY_PLAIN, "86400", 0, 12 * WEEK },
  { "market", "refund_retry_s", KEY_SECONDS_LIST, KEY_PLAIN,
    "0,5,300,1800,7200,18000,36000,50400,72000,86400", 0, WEEK },
  { "market", "sweep_s", KEY_SECONDS, KEY_PLAIN, "30", 0, WEEK },
  { "market", "unmatched_retry_s", KEY_SECONDS_LIST, KEY_PLAIN, "0.1,1,5,30", 0, WEEK },
  { "market", "unmatched_keep_d", KEY_INT, KEY_PLAIN, "7", 0, 3650 },
  { "market", "unmatched_alarm_s", KEY_SECONDS, KEY_PLAIN, "60", 0, WEEK },
  { "market", "late_payment", KEY_CHOICE, KEY_PLAIN, "honour", .values = "honour refund review" },
  { "market", "reserve_hold_s", KEY_SECONDS, KEY_PLAIN, "900", 0, WEEK },
  { "market", "open_reserves_per_user", KEY_INT, KEY_PLAIN, "3", 0, 1000 },
  { "market", "expiry_grace_s", KEY_SECONDS, KEY_PLAIN, "60", 0, WEEK },
  { "market", "lease_margin_s", KEY_SECONDS, KEY_PLAIN, "10", 0, WEEK },
  { "market", "stuck_s", KEY_SECONDS, KEY_PLAIN, "3600", 0, 12 * WEEK },
  { "market", "alarm_s", KEY_SECONDS, KEY_PLAIN, "3600", 0, 12 * WEEK },

  { "modules", "folder", KEY_TEXT },
  { "modules", "uid_base", KEY_INT, KEY_PLAIN, NULL, 1000, G_MAXINT32 - 64 },
  { "modules", "deadline_ms", KEY_INT, KEY_PLAIN, "1000", 10, 60000 },
  { "modules", "cpu_s", KEY_INT, KEY_PLAIN, "1", 1, 60 },
  { "modules", "memory", KEY_BYTES, KEY_PLAIN, "128M", 1 << 20, G_GINT64_CONSTANT (1) << 36 },

  { "functions", "calls", KEY_INT, KEY_PLAIN, "8", 1, 64 },
  { "functions", "result_keep_s", KEY_SECONDS, KEY_PLAIN, "86400", 0, WEEK },
  { "functions", "result_bytes", KEY_BYTES, KEY_PLAIN, "16M", 0, G_GINT64_CONSTANT (1) << 36 },
  { "functions", "log_lines", KEY_INT, KEY_PLAIN, "1000", 0, 1000000 },

  /* 0 means none. Bytes and stanzas a second are held by reading slower. */
  { "limits", "stanza_bytes_before_login", SIZE, "10000", 0, 1 << 20 },
  { "limits", "stanza_bytes", SIZE, "256K", 0, 16 << 20 },
  { "limits", "tree_bytes", SIZE, "128K", 0, 1 << 20 },
  { "limits", "depth", LIMIT, "64", 2, 512 },
  { "limits", "children", LIMIT, "1000", 1, 10000 },
  { "limits", "streams_per_address", LIMIT, "256", 0, 1000000 },
  { "limits", "streams", LIMIT, "50000", 0, 1000000 },
  { "limits", "sessions_per_account", LIMIT, "32", 0, 10000 },
  { "limits", "stanzas_per_s", LIMIT, "200", 0, 10000000 },
  { "limits", "bytes_per_s", SIZE, "512K", 0, G_GINT64_CONSTANT (1) << 36 },
  { "limits", "bytes_per_s_before_login", SIZE, "64K", 0, G_GINT64_CONSTANT (1) << 36 },
  { "limits", "outbox_bytes", SIZE, "4M", 0, 1 << 30 },
  { "limits", "unacked_stanzas", LIMIT, "2000", 0, 1000000 },
  { "limits", "pending_requests", LIMIT, "64", 1, 10000 },
  { "limits", "resume_s", KEY_SECONDS, KEY_RELOADS, "300", 0, WEEK },
  { "limits", "roster_items", LIMIT, "1000", 0, 1000000 },
  { "limits", "subscription_requests", LIMIT, "200", 0, 1000000 },
  { "limits", "directed_presences", LIMIT, "500", 0, 1000000 },
  { "limits", "offline_messages", LIMIT, "1000", 0, 100000000 },
  { "limits", "offline_bytes", SIZE, "4M", 0, G_GINT64_CONSTANT (1) << 36 },
  { "limits", "registrations_per_hour", LIMIT, "20", 0, 1000000 },
  { "limits", "password_changes_per_hour", LIMIT, "20", 0, 1000000 },
  { "limits", "open_orders_per_user", KEY_INT, KEY_PLAIN, "20", 0, 1000000 },
  { "limits", "orders_per_user_per_day", KEY_INT, KEY_PLAIN, "200", 0, 1000000 },
  { "limits", "command_sessions_per_user", KEY_INT, KEY_PLAIN, "10", 0, 10000 },
  { "limits", "command_sessions", KEY_INT, KEY_PLAIN, "2000", 0, 1000000 },
  { "limits", "command_session_s", KEY_SECONDS, KEY_PLAIN, "600", 0, WEEK },
  { "limits", "handshake_s", KEY_SECONDS, KEY_RELOADS, "30", 0, 3600 },
  { "limits", "idle_s", KEY_SECONDS, KEY_RELOADS, "1200", 0, WEEK },
  { "limits", "http_connections", LIMIT, "512", 0, 1000000 },
  { "limits", "http_connections_per_address", LIMIT, "64", 0, 1000000 },
  { "limits", "http_pending", LIMIT, "256", 0, 1000000 },
  { "limits", "http_idle_s", LIMIT, "15", 1, 3600 },
  { "limits", "http_request_s", LIMIT, "30", 1, 3600 },
  { "limits", "http_header_bytes", SIZE, "16K", 4096, 1 << 20 },
  { "limits", "login_attempts", LIMIT, "5", 0, 1000 },
  { "limits", "login_failures_per_minute", LIMIT, "60", 0, 1000000 },
};

#undef LIMIT
#undef SIZE
