/* The kinds of billing providers, each `provider-NAME.c`. This is the one line a new one adds (beside the list of
 * sources in meson.build); provider.h and provider.c make of it what they need. */
PROVIDER_TYPE (standard) /* protocol.md section 9, with Standard Webhooks */
PROVIDER_TYPE (stripe)   /* Stripe Checkout */
