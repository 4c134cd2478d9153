/* For the tests of im/: a store, core's router and services, and sessions that only write down what they are
 * sent. */
#pragma once

#include "host-server/im/room.h"

typedef struct World World;

/* @limits are lines for the group [limits]; NULL: defaults. */
World *world_new (const char *limits);
void world_free (World *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (World, world_free)
/* Ends the room and its store, and starts both anew on the same files. No session may be connected. */
void world_restart (World *world);

Im *world_get_im (World *world);
Server *world_get_server (World *world);
/* Accounts without password: rows only. Domain "d". The UUID of the nth ends in n, of twelve digits. */
void world_add_account (World *world, const char *local);
char *world_dup_uuid (World *world, const char *local);

/* "alice/phone". */
Session *world_connect (World *world, const char *name);
void world_end (World *world, Session *session);
/* Sends a stanza of the client's (its `from` is put in), and waits until everything has settled. */
void world_send (World *world, Session *session, const char *xml);
/* The same without waiting. */
void world_send_now (World *world, Session *session, const char *xml);
void world_settle (World *world);
/* What the session was sent since it was last asked, one stanza a line; the caller frees it. */
char *world_take (Session *session);
/* Asserts that this is all the session was sent. */
#define world_expect(session, ...) world_expect_lines (G_STRLOC, session, __VA_ARGS__, NULL)
void world_expect_lines (const char *where, Session *session, ...) G_GNUC_NULL_TERMINATED;
void world_expect_nothing (Session *session);

/* What is sent is delivered by itself (the default), or waits for world_deliver(). */
void world_set_slow (Session *session, gboolean is_slow);
void world_deliver (World *world, Session *session);
/* The same without waiting for what it makes the room write. */
void world_deliver_now (Session *session);
gboolean world_is_held (const Session *session);
/* Gives the undelivered hooks a stanza, as a session that ended with it unacknowledged does. */
void world_undelivered (World *world, Session *session, const char *xml);

/* One integer from chat.db or market.db. */
gint64 world_query (World *world, StoreFile file, const char *sql);
