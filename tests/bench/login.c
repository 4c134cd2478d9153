#include "tests/bench/login.h"

#include <openssl/rand.h>
#include <string.h>

static LoginState
fail (Login *self, const char *what)
{
  if (!self->failure)
    self->failure = g_strdup_printf ("%s, after: %s", what, self->text ? self->text->str : "");
  return self->state = LOGIN_FAILED;
}

static void
send_text (Login *self, const char *text)
{
  if (!connection_send (self->connection, text, strlen (text)))
    fail (self, "the connection ended");
}

static void
send_header (Login *self, LoginState next)
{
  g_autofree char *text = g_strdup_printf ("<?xml version='1.0'?><stream:stream to='%s' version='1.0' "
                                           "xmlns='jabber:client' "
                                           "xmlns:stream='http://etherx.jabber.org/streams'>",
                                           self->plan->domain);
  self->state = next;
  send_text (self, text);
}

/* True once `word` has come; the text up to its end is then dropped, and copied to `*before` if wanted. */
static bool
take_until (Login *self, const char *word, char **before)
{
  const char *found = strstr (self->text->str, word);
  if (!found)
    return false;
  gsize end = (gsize)(found - self->text->str) + strlen (word);
  if (before)
    *before = g_strndup (self->text->str, end);
  g_string_erase (self->text, 0, (gssize)end);
  return true;
}

/* What lies between `from` and `to` in `text`. */
static char *
between (const char *text, const char *from, const char *to)
{
  const char *start = strstr (text, from);
  const char *end = start ? strstr (start + strlen (from), to) : NULL;
  return end ? g_strndup (start + strlen (from), (gsize)(end - start) - strlen (from)) : NULL;
}

static bool
is_error (const char *iq)
{
  return strstr (iq, "type='error'") || strstr (iq, "type=\"error\"");
}

static void
send_auth (Login *self)
{
  const LoginPlan *plan = self->plan;
  g_autofree char *initial = NULL;
  if (strcmp (plan->mechanism, "PLAIN") == 0)
    {
      g_autoptr (GString) plain = g_string_new (NULL);
      g_string_append_c (plain, 0);
      g_string_append_printf (plain, "u%u", self->user);
      g_string_append_c (plain, 0);
      g_string_append_printf (plain, "secret-%u", self->user);
      initial = g_base64_encode ((unsigned char *)plain->str, plain->len);
      self->state = LOGIN_SUCCESS;
    }
  else
    {
      unsigned char random[15];
      RAND_bytes (random, sizeof random);
      g_autofree char *nonce = g_base64_encode (random, sizeof random);
      g_autofree char *user = g_strdup_printf ("u%u", self->user);
      self->first_bare = scram_first_bare (user, nonce);
      g_autofree char *first = g_strconcat ("n,,", self->first_bare, NULL);
      initial = g_base64_encode ((unsigned char *)first, strlen (first));
      self->state = LOGIN_CHALLENGE;
    }
  g_autofree char *text = g_strdup_printf (
      "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='%s'>%s</auth>", plan->mechanism, initial);
  send_text (self, text);
}

static void
send_response (Login *self, const char *challenge_element)
{
  g_autofree char *base64 = between (challenge_element, ">", "<");
  gsize size;
  g_autofree unsigned char *data = base64 ? g_base64_decode (base64, &size) : NULL;
  g_autofree char *server_first = data ? g_strndup ((char *)data, size) : NULL;
  g_autofree char *password = g_strdup_printf ("secret-%u", self->user);
  g_autofree char *final = server_first ? scram_final (self->plan->scram, self->first_bare, server_first,
                                                       password, &self->signature)
                                        : NULL;
  if (!final)
    {
      fail (self, "malformed challenge");
      return;
    }
  g_autofree char *final64 = g_base64_encode ((unsigned char *) final, strlen (final));
  g_autofree char *text
      = g_strdup_printf ("<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</response>", final64);
  self->state = LOGIN_SUCCESS;
  send_text (self, text);
}

static void
send_registration (Login *self)
{
  g_autofree char *text
      = g_strdup_printf ("<iq type='set' id='reg'><query xmlns='jabber:iq:register'>"
                         "<username>u%u</username><password>secret-%u</password></query></iq>",
                         self->user, self->user);
  self->state = LOGIN_REGISTERED;
  send_text (self, text);
}

/* The part after bind: each optional step is skipped if the plan does not have it. */
static void
go_on (Login *self, LoginState done)
{
  if (done < LOGIN_ROSTER && self->plan->gets_roster)
    {
      self->state = LOGIN_ROSTER;
      send_text (self, "<iq type='get' id='ros'><query xmlns='jabber:iq:roster'/></iq>");
    }
  else if (done < LOGIN_PRESENCE && self->plan->sends_presence)
    {
      self->state = LOGIN_PRESENCE;
      send_text (self, "<presence/>");
    }
  else if (done < LOGIN_SERIALS && self->plan->gets_serials)
    {
      g_autofree char *text = g_strdup_printf ("<iq type='get' to='market.%s' id='ser'>"
                                               "<serials xmlns='urn:stoa:serials:1'/></iq>",
                                               self->plan->domain);
      self->state = LOGIN_SERIALS;
      send_text (self, text);
    }
  else
    self->state = LOGIN_DONE;
}

/* The end of an IQ's answer with this id, in either form; its text goes to `*iq`. */
static bool
take_answer (Login *self, const char *id, char **iq)
{
  g_autofree char *single = g_strdup_printf ("id='%s'", id), *twice = g_strdup_printf ("id=\"%s\"", id);
  const char *at = strstr (self->text->str, single);
  if (!at)
    at = strstr (self->text->str, twice);
  if (!at)
    return false;
  const char *tag_end = strchr (at, '>');
  if (!tag_end)
    return false;
  if (tag_end[-1] == '/')
    {
      *iq = g_strndup (self->text->str, (gsize)(tag_end - self->text->str) + 1);
      g_string_erase (self->text, 0, tag_end - self->text->str + 1);
      return true;
    }
  return take_until (self, "</iq>", iq);
}

/* One step; false if more text is needed for it. */
static bool
step (Login *self)
{
  g_autofree char *taken = NULL;
  switch (self->state)
    {
    case LOGIN_FEATURES_BEFORE_TLS:
      if (!take_until (self, "</stream:features>", NULL))
        return false;
      self->state = LOGIN_PROCEED;
      send_text (self, "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
      return true;
    case LOGIN_FEATURES:
      if (!take_until (self, "</stream:features>", &taken))
        return false;
      if (self->plan->registers)
        send_registration (self);
      else
        send_auth (self);
      return true;
    case LOGIN_REGISTERED:
      if (!take_answer (self, "reg", &taken))
        return false;
      if (is_error (taken) && !strstr (taken, "<conflict"))
        fail (self, taken);
      else
        self->state = LOGIN_DONE;
      return true;
    case LOGIN_CHALLENGE:
      if (strstr (self->text->str, "</failure>"))
        fail (self, "refused");
      else if (!take_until (self, "</challenge>", &taken))
        return false;
      else
        send_response (self, strstr (taken, "<challenge"));
      return true;
    case LOGIN_SUCCESS:
      if (strstr (self->text->str, "</failure>"))
        {
          fail (self, "refused");
          return true;
        }
      if (!take_until (self, "</success>", &taken) && !take_until (self, "<success/>", &taken))
        return false;
      if (self->signature)
        {
          g_autofree char *base64 = between (strstr (taken, "<success"), ">", "<");
          gsize size = 0;
          g_autofree unsigned char *data = base64 ? g_base64_decode (base64, &size) : NULL;
          if (!data || size < 2 || strncmp ((char *)data + 2, self->signature, size - 2) != 0)
            {
              fail (self, "the server's signature is wrong");
              return true;
            }
        }
      g_string_truncate (self->text, 0);
      send_header (self, LOGIN_BIND_FEATURES);
      return true;
    case LOGIN_BIND_FEATURES:
      if (!take_until (self, "</stream:features>", NULL))
        return false;
      self->state = LOGIN_BOUND;
      send_text (self, "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
      return true;
    case LOGIN_BOUND:
      if (!take_answer (self, "bind", &taken))
        return false;
      self->jid = between (taken, "<jid>", "</jid>");
      if (!self->jid)
        fail (self, "not bound");
      else
        go_on (self, LOGIN_BOUND);
      return true;
    case LOGIN_ROSTER:
      if (!take_answer (self, "ros", &taken))
        return false;
      go_on (self, LOGIN_ROSTER);
      return true;
    case LOGIN_PRESENCE: /* the server sends one's own presence back when it has dealt with it */
      if (!take_until (self, "<presence", NULL))
        return false;
      go_on (self, LOGIN_PRESENCE);
      return true;
    case LOGIN_SERIALS:
      if (!take_answer (self, "ser", &taken))
        return false;
      if (is_error (taken))
        fail (self, taken);
      else
        {
          self->serials_version = between (taken, "ver='", "'");
          go_on (self, LOGIN_SERIALS);
        }
      return true;
    default:
      return false;
    }
}

void
login_begin (Login *self, const LoginPlan *plan, Connection *connection, unsigned user, SSL_SESSION *session)
{
  *self = (Login){ .plan = plan, .connection = connection, .user = user, .text = g_string_new (NULL) };
  if (plan->tls == TLS_DIRECT)
    {
      self->state = LOGIN_TLS;
      connection_start_tls (connection, plan->context, false, session);
    }
  else
    send_header (self, plan->tls == TLS_START ? LOGIN_FEATURES_BEFORE_TLS : LOGIN_FEATURES);
}

LoginState
login_feed (Login *self, const char *data, size_t size)
{
  if (!data)
    {
      send_header (self, LOGIN_FEATURES);
      return self->state;
    }
  g_string_append_len (self->text, data, (gssize)size);
  if (self->state == LOGIN_PROCEED)
    {
      if (strstr (self->text->str, "<proceed") && strchr (strstr (self->text->str, "<proceed"), '>'))
        {
          g_string_truncate (self->text, 0);
          self->state = LOGIN_TLS;
          connection_start_tls (self->connection, self->plan->context, false, NULL);
        }
      return self->state;
    }
  while (self->state < LOGIN_DONE && step (self))
    ;
  if (self->state == LOGIN_DONE)
    {
      g_string_free (self->text, TRUE);
      self->text = NULL;
    }
  return self->state;
}

void
login_clear (Login *self)
{
  if (self->text)
    g_string_free (self->text, TRUE);
  g_free (self->first_bare);
  g_free (self->signature);
  g_free (self->jid);
  g_free (self->serials_version);
  g_free (self->failure);
  *self = (Login){ 0 };
}
