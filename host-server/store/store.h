/* The server's database: two files, a writer thread each with group commit, and readers.
 *
 * market.db (synchronous=FULL) holds accounts, verifiers, devices, vendors and money; chat.db (NORMAL) holds
 * roster, offline messages and archive. No transaction spans both. A write is a closure that runs on its
 * file's writer thread: it reads, decides and writes inside a SAVEPOINT of its own; many closures share one
 * COMMIT. What it decided may leave the house only from its done function, after that COMMIT. */
#pragma once

#include "common/base/db.h"
#include "common/base/secret.h"

typedef struct Store Store;

typedef enum
{
  STORE_MARKET,
  STORE_CHAT,
} StoreFile;

/* Runs on the writer thread inside its savepoint. FALSE with @error undoes what it wrote, and nothing of its
 * neighbours. It may run again on fresh rows if the database asks for that, so it changes nothing but @db and
 * @data, and starts @data's results anew. */
typedef gboolean (*StoreWork) (Db *db, gpointer data, GError **error);

/* Runs on the main context once the COMMIT stands, or with the error that undid the work (its own, or a
 * failed COMMIT's: a full disk). Called exactly once, also while the store closes. It frees @data. */
typedef void (*StoreDone) (gpointer data, const GError *error);

/* Opens or creates both files in @folder, migrates them, and starts the threads; results come on the
 * thread-default context of the caller. @key_file: see store_seal(); NULL: @folder/store.key. */
Store *store_open (const char *folder, const char *key_file, GError **error);
/* Finishes what was queued, calls every done function (which may queue more, and then that is finished too),
 * closes. */
void store_close (Store *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Store, store_close)

/* Queues a write. Works on one file run in the order they were queued. */
void store_write (Store *store, StoreFile file, StoreWork work, StoreDone done, gpointer data);
/* Runs a longer read on the reader thread, on a snapshot of its own. */
void store_read (Store *store, StoreFile file, StoreWork work, StoreDone done, gpointer data);
/* Runs what blocks but reads no database (key derivation) on a worker thread; @done comes as for a write, and
 * never with an error. */
typedef void (*StoreCompute) (gpointer data);
void store_compute (Store *store, StoreCompute compute, StoreDone done, gpointer data);
/* The main thread's own reader, for reads that are indexed and limited. It sees what is committed. */
Db *store_peek_reader (Store *store, StoreFile file);
/* Writes that are queued or running, for backpressure and the status page. */
guint store_get_backlog (Store *store, StoreFile file);
/* Whether the last commit of that file failed (full disk, damage): readiness, and 503 to callbacks. */
gboolean store_is_healthy (Store *store, StoreFile file);

/* The folder of the packages that market.db names (store/package-files.h): backups take them along. */
void store_set_packages (Store *store, const char *folder);

/* Copies both files, market.db first, and the packages that it names into the new folder @path (mode 0700),
 * while the server runs; @done comes on the main context. The folder appears whole or not at all. The key
 * file goes along only from its default place; one that [store] key_file put elsewhere is the operator's to
 * keep. */
void store_backup (Store *store, const char *path, StoreDone done, gpointer data);

/* Seals small values (serials, secrets) with AES-256-GCM under the key file of `[store] key_file` (made with
 * mode 0600 at first start); @label binds a value to its place, so that one sealed value cannot stand in for
 * another. Thread-safe. */
GBytes *store_seal (Store *store, const char *label, const Secret *plain);
/* NULL if it was not sealed with this key and label. */
Secret *store_unseal (Store *store, const char *label, const void *sealed, gsize length);
/* 32 bytes that follow from the key file and @label (HMAC-SHA-256), the same after every start. */
Secret *store_derive_key (Store *store, const char *label);
