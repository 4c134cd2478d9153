#!/bin/sh
# Standard Webhooks in shell, with openssl. The body comes on standard input, the secret from the environment
# (so that it is in no list of processes):
#
#   WEBHOOK_SECRET=whsec_… webhook.sh sign ID TIMESTAMP <body                  prints the signature header
#   WEBHOOK_SECRET=whsec_… webhook.sh verify ID TIMESTAMP SIGNATURE [NOW] <body    exit code 0: authentic
set -eu
die () { echo "webhook.sh: $1" >&2; exit 1; }

usage='sign ID TIMESTAMP | verify ID TIMESTAMP SIGNATURE [NOW]'
command=${1?$usage} id=${2?$usage} timestamp=${3?$usage}
case $WEBHOOK_SECRET in whsec_?*) ;; *) die 'the secret must begin with whsec_' ;; esac
key=$(printf %s "${WEBHOOK_SECRET#whsec_}" | base64 -d | od -An -v -tx1 | tr -d ' \n')
[ ${#key} -ge 48 ] && [ ${#key} -le 128 ] || die 'the secret must hold 24 to 64 bytes'

# The body goes through as bytes, whatever is in it: what is signed is ID.TIMESTAMP.BODY.
signature=$({ printf %s "$id.$timestamp."; cat; } | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | base64)

digest () { printf %s "$1" | openssl dgst -sha256 -binary | base64; }

case $command in
sign)
  printf 'v1,%s\n' "$signature"
  ;;
verify)
  given=${4?$usage} now=${5:-$(date +%s)}
  case $timestamp in '' | *[!0-9]*) die 'the timestamp is not digits alone' ;; esac
  away=$((now - timestamp))
  [ "$away" -le 300 ] && [ "$away" -ge -300 ] || die 'the timestamp is over 300 s away'
  wanted=$(digest "v1,$signature") # digests are compared, so that the time it takes says nothing of the signature
  set -f
  for entry in $given; do
    [ "$(digest "$entry")" != "$wanted" ] || exit 0
  done
  die 'no signature matches'
  ;;
*)
  die "$usage"
  ;;
esac
