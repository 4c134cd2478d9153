#include "host-server/store/schema.h"

/* Catalog, orders, payments, serials, pools. Times are microseconds of wall time; states are the words of
 * money.md, so that a person with a database shell can read them. What must be unique for ever (ledger,
 * issued serials, requests) is never deleted. */

static const char *const steps[] = {
  /* Keys that are made once and never rotated: of pairwise names, keygen seeds, serial digests. */
  "CREATE TABLE market_key (name TEXT PRIMARY KEY, sealed BLOB NOT NULL);"

  "CREATE TABLE vendor (id TEXT PRIMARY KEY, created_us BIGINT NOT NULL);"

  /* The ring of a peer: 'vendor:acme', 'billing:main'. not_after_us 0: for ever. */
  "CREATE TABLE webhook_secret ("
  "  id TEXT PRIMARY KEY,"
  "  peer TEXT NOT NULL,"
  "  sealed BLOB NOT NULL,"
  "  not_before_us BIGINT NOT NULL,"
  "  not_after_us BIGINT NOT NULL,"
  "  last_used_us BIGINT NOT NULL);"
  "CREATE INDEX webhook_secret_peer ON webhook_secret (peer, not_before_us);"

  "CREATE TABLE plugin ("
  "  id TEXT PRIMARY KEY,"
  "  vendor TEXT NOT NULL REFERENCES vendor (id),"
  "  name TEXT NOT NULL,"
  "  version TEXT NOT NULL,"
  "  summary TEXT NOT NULL,"
  "  price_minor BIGINT NOT NULL,"
  "  currency TEXT NOT NULL,"
  "  term TEXT NOT NULL,"     /* ISO 8601; '' for ever */
  "  billing TEXT NOT NULL,"  /* a [billing NAME]; '': the first one */
  "  source TEXT NOT NULL,"   /* keygen | plugin-server | pool */
  "  fallback TEXT NOT NULL," /* another source, or '' */
  "  module TEXT NOT NULL,"
  "  base TEXT NOT NULL,"
  "  package TEXT NOT NULL,"
  "  is_retired BIGINT NOT NULL,"
  "  fault TEXT," /* a configuration fault of its source: no new sales */
  "  created_us BIGINT NOT NULL,"
  "  changed_us BIGINT NOT NULL);"

  "CREATE TABLE pool_key ("
  "  id INTEGER PRIMARY KEY,"
  "  plugin TEXT NOT NULL REFERENCES plugin (id),"
  "  digest BLOB NOT NULL,"
  "  sealed BLOB NOT NULL,"
  "  state TEXT NOT NULL," /* free | delivered | burned; frozen: free in a backup, and perhaps given out since
                            */
  "  line TEXT,"
  "  generation BIGINT,"
  "  UNIQUE (plugin, digest));"
  "CREATE INDEX pool_key_free ON pool_key (plugin, id) WHERE state = 'free'",

  /* version: every UPDATE carries WHERE version = ?. payment is the axis as derived from the ledger, kept for
   * lists; the ledger is the truth. */
  "CREATE TABLE purchase ("
  "  id TEXT PRIMARY KEY,"
  "  version BIGINT NOT NULL,"
  "  account TEXT NOT NULL,"
  "  user TEXT NOT NULL,"
  "  provider TEXT NOT NULL," /* '' for a free one */
  "  phase TEXT NOT NULL,"
  "  payment TEXT NOT NULL,"
  "  price_minor BIGINT NOT NULL,"
  "  currency TEXT NOT NULL,"
  "  checkout TEXT,"
  "  checkout_try BIGINT NOT NULL,"
  "  charge_url TEXT,"
  "  expires_us BIGINT NOT NULL,"
  "  is_decline_wanted BIGINT NOT NULL,"
  "  is_declined_by_user BIGINT NOT NULL,"
  "  paid_us BIGINT NOT NULL,"
  "  poll_us BIGINT NOT NULL," /* when the provider is asked next; 0: not at all */
  "  polls BIGINT NOT NULL,"
  "  reason TEXT NOT NULL,"
  "  created_us BIGINT NOT NULL,"
  "  changed_us BIGINT NOT NULL);"
  "CREATE INDEX purchase_account ON purchase (account, id);"
  "CREATE INDEX purchase_poll ON purchase (poll_us) WHERE poll_us > 0;"
  "CREATE INDEX purchase_unsettled ON purchase (changed_us)"
  "  WHERE phase IN ('created', 'paid', 'issuing', 'refund-due', 'refunding', 'review');"

  "CREATE TABLE purchase_line ("
  "  id TEXT PRIMARY KEY,"
  "  purchase TEXT NOT NULL REFERENCES purchase (id),"
  "  account TEXT NOT NULL,"
  "  plugin TEXT NOT NULL REFERENCES plugin (id),"
  "  term TEXT NOT NULL,"
  "  price_minor BIGINT NOT NULL,"
  "  is_renewal BIGINT NOT NULL,"
  "  is_open BIGINT NOT NULL);"
  "CREATE INDEX purchase_line_purchase ON purchase_line (purchase);"
  "CREATE UNIQUE INDEX purchase_line_open ON purchase_line (account, plugin) WHERE is_open = 1;"

  /* The client's request ids, aliases among them. */
  "CREATE TABLE purchase_request ("
  "  account TEXT NOT NULL,"
  "  request TEXT NOT NULL,"
  "  purchase TEXT NOT NULL REFERENCES purchase (id),"
  "  PRIMARY KEY (account, request));"
  "CREATE INDEX purchase_request_purchase ON purchase_request (purchase)",

  /* Append-only. payment: what a refund or dispute belongs to. */
  "CREATE TABLE ledger ("
  "  seq INTEGER PRIMARY KEY,"
  "  provider TEXT NOT NULL,"
  "  id TEXT NOT NULL,"
  "  kind TEXT NOT NULL," /* payment | refund | dispute | dispute-won | dispute-lost */
  "  purchase TEXT NOT NULL REFERENCES purchase (id),"
  "  payment TEXT NOT NULL,"
  "  amount_minor BIGINT NOT NULL,"
  "  source TEXT NOT NULL," /* callback | poll | refund | reconcile */
  "  recorded_us BIGINT NOT NULL,"
  "  UNIQUE (provider, id, kind));"
  "CREATE INDEX ledger_purchase ON ledger (purchase);"

  "CREATE TABLE refund ("
  "  id TEXT PRIMARY KEY," /* the idempotency key */
  "  version BIGINT NOT NULL,"
  "  purchase TEXT NOT NULL REFERENCES purchase (id),"
  "  payment TEXT NOT NULL,"
  "  amount_minor BIGINT NOT NULL,"
  "  reason TEXT NOT NULL,"
  "  state TEXT NOT NULL," /* due | sent | confirmed | rejected */
  "  provider_refund TEXT,"
  "  created_us BIGINT NOT NULL,"
  "  changed_us BIGINT NOT NULL);"
  "CREATE INDEX refund_purchase ON refund (purchase);"

  "CREATE TABLE inbox ("
  "  provider TEXT NOT NULL,"
  "  webhook_id TEXT NOT NULL,"
  "  digest BLOB NOT NULL,"
  "  outcome TEXT NOT NULL,"
  "  body BLOB NOT NULL,"
  "  received_us BIGINT NOT NULL,"
  "  PRIMARY KEY (provider, webhook_id));"
  "CREATE INDEX inbox_received ON inbox (received_us);"

  /* Deliveries and polled payments that could not be applied. retry_us 0: only a person can help. */
  "CREATE TABLE unmatched ("
  "  id TEXT PRIMARY KEY,"
  "  provider TEXT NOT NULL,"
  "  webhook_id TEXT NOT NULL,"
  "  state TEXT NOT NULL," /* waiting | review | refunding | matched | closed */
  "  reason TEXT NOT NULL,"
  "  body BLOB NOT NULL,"
  "  attempt BIGINT NOT NULL,"
  "  retry_us BIGINT NOT NULL,"
  "  is_alarmed BIGINT NOT NULL,"
  "  first_seen_us BIGINT NOT NULL,"
  "  UNIQUE (provider, webhook_id));"
  "CREATE INDEX unmatched_retry ON unmatched (retry_us) WHERE retry_us > 0",

  "CREATE TABLE entitlement ("
  "  account TEXT NOT NULL,"
  "  plugin TEXT NOT NULL REFERENCES plugin (id),"
  "  state TEXT NOT NULL," /* active | suspended | expired | revoked */
  "  line TEXT NOT NULL,"
  "  generation BIGINT NOT NULL,"
  "  sealed BLOB NOT NULL,"
  "  expires_us BIGINT NOT NULL," /* 0: for ever */
  "  epoch BIGINT NOT NULL,"
  "  ver BIGINT NOT NULL,"
  "  PRIMARY KEY (account, plugin));"
  "CREATE INDEX entitlement_ver ON entitlement (account, ver);"
  "CREATE INDEX entitlement_expiry ON entitlement (expires_us) WHERE state = 'active' AND expires_us > 0;"
  "CREATE TABLE entitlement_version (account TEXT PRIMARY KEY, ver BIGINT NOT NULL);"

  /* The issue axis of a line: one serial per (line, generation), for ever. */
  "CREATE TABLE generation ("
  "  line TEXT NOT NULL REFERENCES purchase_line (id),"
  "  generation BIGINT NOT NULL,"
  "  version BIGINT NOT NULL,"
  "  state TEXT NOT NULL,"
  "  source TEXT NOT NULL,"
  "  is_fallback BIGINT NOT NULL,"
  "  counter BIGINT NOT NULL,"
  "  paid_us BIGINT NOT NULL,"
  "  deadline_us BIGINT NOT NULL,"
  "  reason TEXT NOT NULL,"
  "  PRIMARY KEY (line, generation));"
  "CREATE TABLE issued_serial ("
  "  plugin TEXT NOT NULL,"
  "  digest BLOB NOT NULL,"
  "  account TEXT NOT NULL,"
  "  line TEXT NOT NULL,"
  "  generation BIGINT NOT NULL,"
  "  PRIMARY KEY (plugin, digest))",

  /* owner and lease_until_us: who runs it until when; fence rises with every claim. An id is never used
   * again: the late result of a job that is gone must not fit another. */
  "CREATE TABLE job ("
  "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
  "  kind TEXT NOT NULL,"
  "  key TEXT NOT NULL UNIQUE,"
  "  subject TEXT NOT NULL," /* the id of what it works on */
  "  attempt BIGINT NOT NULL,"
  "  not_before_us BIGINT NOT NULL,"
  "  owner TEXT NOT NULL,"
  "  lease_until_us BIGINT NOT NULL,"
  "  fence BIGINT NOT NULL,"
  "  created_us BIGINT NOT NULL);"
  "CREATE INDEX job_due ON job (not_before_us);",

  /* Policy `reserve`; what is kept of each generation; which lines an entitlement stands on. sealed: the
   * serial, under the label of its entitlement; of a held one until it is let go. expires_us: the vendor's
   * own, and reissue_us when another is to be asked for before that. closed_as: the state that a closed order
   * shows. */
  "ALTER TABLE plugin ADD COLUMN policy TEXT NOT NULL DEFAULT 'on-payment';"
  "ALTER TABLE purchase ADD COLUMN closed_as TEXT;"
  "ALTER TABLE purchase_line ADD COLUMN is_reserve BIGINT NOT NULL DEFAULT 0;"
  "ALTER TABLE generation ADD COLUMN purpose TEXT NOT NULL DEFAULT 'first';" /* replacement | reissue */
  "UPDATE generation SET purpose = 'replacement' WHERE generation > 0;"
  "ALTER TABLE generation ADD COLUMN sealed BLOB;"
  "ALTER TABLE generation ADD COLUMN expires_us BIGINT NOT NULL DEFAULT 0;"
  "ALTER TABLE generation ADD COLUMN reissue_us BIGINT NOT NULL DEFAULT 0;"
  "ALTER TABLE entitlement ADD COLUMN reissue_us BIGINT NOT NULL DEFAULT 0;"
  "CREATE TABLE entitlement_line ("
  "  line TEXT PRIMARY KEY REFERENCES purchase_line (id),"
  "  account TEXT NOT NULL,"
  "  plugin TEXT NOT NULL,"
  "  state TEXT NOT NULL," /* counted | disputed | ended */
  "  granted_us BIGINT NOT NULL);"
  "CREATE INDEX entitlement_line_of ON entitlement_line (account, plugin, granted_us);"
  "INSERT INTO entitlement_line (line, account, plugin, state, granted_us)"
  "  SELECT e.line, e.account, e.plugin, CASE WHEN e.state = 'revoked' THEN 'ended' ELSE 'counted' END, "
  "p.paid_us"
  "  FROM entitlement e JOIN purchase_line l ON l.id = e.line JOIN purchase p ON p.id = l.purchase;"
  "UPDATE generation SET sealed = (SELECT e.sealed FROM entitlement e WHERE e.line = generation.line"
  "  AND e.generation = generation.generation);"
  "CREATE INDEX pool_key_line ON pool_key (line) WHERE line IS NOT NULL;"
  "DROP INDEX entitlement_expiry;"
  "CREATE INDEX entitlement_expiry ON entitlement (expires_us) WHERE state IN ('active', 'suspended')"
  "  AND expires_us > 0;"
  "CREATE INDEX entitlement_reissue ON entitlement (reissue_us) WHERE state = 'active' AND reissue_us > 0;"
  "DROP INDEX purchase_unsettled;"
  "CREATE INDEX purchase_unsettled ON purchase (changed_us) WHERE phase IN ('created', 'reserving', 'paid',"
  "  'issuing', 'refund-due', 'refunding', 'review')",

  /* The proof that a callback leaves: the delivery's id and the SHA-256 of its body. NULL if the host asked.
   */
  ("ALTER TABLE ledger ADD COLUMN webhook_id TEXT;"
   "ALTER TABLE ledger ADD COLUMN body_digest BLOB"),

  /* What no index answered: who is next of many jobs that wait or are leased (an hour without the provider
   * leaves one for each order), and what was matched long ago. */
  "DROP INDEX job_due;"
  "CREATE INDEX job_next ON job ((CASE WHEN not_before_us > lease_until_us THEN not_before_us"
  "  ELSE lease_until_us + 1 END));"
  "CREATE INDEX unmatched_done ON unmatched (first_seen_us) WHERE state = 'matched';"
  /* Nothing asks by version: a user's entitlements are read by their key. Every change moved an entry of it,
   * anywhere in the file. */
  "DROP INDEX entitlement_ver",

  /* Deliveries as evidence: the key of the ring that matched, and the headers that were looked at. An
   * unmatched one can be closed by a person, with a note; refund: what the provider calls the refund of its
   * payment. The rest is what a line is looked up by. */
  "ALTER TABLE inbox ADD COLUMN secret TEXT;"
  "ALTER TABLE inbox ADD COLUMN headers TEXT;"
  "ALTER TABLE unmatched ADD COLUMN note TEXT;"
  "ALTER TABLE unmatched ADD COLUMN refund TEXT;"
  "ALTER TABLE unmatched ADD COLUMN refunded_payment TEXT;"
  "ALTER TABLE unmatched ADD COLUMN closed_us BIGINT NOT NULL DEFAULT 0;"
  "CREATE INDEX unmatched_refunded ON unmatched (provider, refunded_payment)"
  "  WHERE refunded_payment IS NOT NULL;"
  "CREATE INDEX unmatched_open ON unmatched (first_seen_us) WHERE state IN ('waiting', 'review', "
  "'refunding');"
  "CREATE INDEX issued_serial_line ON issued_serial (line, generation);"
  "CREATE INDEX pool_key_frozen ON pool_key (plugin) WHERE state = 'frozen';"
  "CREATE INDEX refund_open ON refund (changed_us) WHERE state IN ('due', 'sent')",

  /* What is sold inside an application. A line is of the plugin itself (item '') or of one of its items, and
   * grants amount of it. item_line: what became of a fulfilled one; credited is what of its amount is the
   * user's, or was used up before it could be taken away. */
  "CREATE TABLE item ("
  "  application TEXT NOT NULL REFERENCES plugin (id),"
  "  id TEXT NOT NULL,"
  "  name TEXT NOT NULL,"
  "  price_minor BIGINT NOT NULL,"
  "  currency TEXT NOT NULL,"
  "  amount BIGINT NOT NULL,"
  "  is_retired BIGINT NOT NULL,"
  "  PRIMARY KEY (application, id));"
  "ALTER TABLE purchase_line ADD COLUMN item TEXT NOT NULL DEFAULT '';"
  "ALTER TABLE purchase_line ADD COLUMN amount BIGINT NOT NULL DEFAULT 0;"
  "DROP INDEX purchase_line_open;"
  "CREATE UNIQUE INDEX purchase_line_open ON purchase_line (account, plugin, item) WHERE is_open = 1;"
  "CREATE TABLE item_line ("
  "  line TEXT PRIMARY KEY REFERENCES purchase_line (id),"
  "  state TEXT NOT NULL," /* counted | disputed | ended | forgotten: with its account */
  "  credited BIGINT NOT NULL,"
  "  granted_us BIGINT NOT NULL)",

  /* As it was, said without IN: SQLite makes a table of such a list whenever a row is written. */
  "DROP INDEX purchase_unsettled;"
  "CREATE INDEX purchase_unsettled ON purchase (changed_us) WHERE phase = 'created' OR phase = 'reserving'"
  "  OR phase = 'paid' OR phase = 'issuing' OR phase = 'refund-due' OR phase = 'refunding'"
  "  OR phase = 'review'",
};

const SchemaFamily market_schema = { "market", STORE_MARKET, steps, G_N_ELEMENTS (steps) };
