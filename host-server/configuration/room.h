/* What the files of configuration/ share. Inside configuration/ only. */
#pragma once

#include "host-server/configuration/configuration.h"
#include "host-server/configuration/rate.h"
#include "host-server/core/session.h"
#include "host-server/store/accounts.h"

struct Configuration
{
  Server *server;
  Rate *registrations;    /* by address */
  Rate *password_changes; /* by account */
};

void configuration_registration_init (Configuration *configuration);
void configuration_commands_init (Configuration *configuration);

/* What follows an account's removal, after its commit: its sessions end, and the rooms are told. */
void configuration_account_removed (Configuration *configuration, const char *uuid, const Jid *bare);
