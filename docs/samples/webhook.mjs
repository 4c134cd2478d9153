#!/usr/bin/env node
// Standard Webhooks in JavaScript, with Node's own modules alone. As a program, the body on standard input:
//
//   WEBHOOK_SECRET=whsec_… node webhook.mjs sign ID TIMESTAMP <body                     prints the signature header
//   WEBHOOK_SECRET=whsec_… node webhook.mjs verify ID TIMESTAMP SIGNATURE [NOW] <body    exit code 0: authentic

import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const TOLERANCE_S = 300;

function readKey(secret) {
  const encoded = secret.startsWith('whsec_') ? secret.slice('whsec_'.length) : '';
  const key = Buffer.from(encoded, 'base64');
  if (key.toString('base64') !== encoded || key.length < 24 || key.length > 64)
    throw new Error('the secret must be whsec_ and base64 of 24 to 64 bytes');
  return key;
}

// The value of webhook-signature, over the exact bytes (a Buffer) that are sent.
export function sign(secret, id, timestamp, body) {
  return 'v1,' + createHmac('sha256', readKey(secret)).update(`${id}.${timestamp}.`).update(body).digest('base64');
}

// Throws unless the headers are good for the exact bytes that came. Call it before parsing them: a body that a
// framework has parsed and printed again is another one.
export function verify(secret, id, timestamp, signatures, body, now = Date.now() / 1000) {
  if (!/^[0-9]{1,15}$/.test(timestamp))
    throw new Error('the timestamp is not digits alone');
  if (Math.abs(now - Number(timestamp)) > TOLERANCE_S)
    throw new Error('the timestamp is over 300 s away');
  const wanted = Buffer.from(sign(secret, id, timestamp, body));
  let isAuthentic = false;
  for (const entry of signatures.split(' ').map((text) => Buffer.from(text)))
    if (entry.length === wanted.length && timingSafeEqual(entry, wanted))
      isAuthentic = true;
  if (!isAuthentic)
    throw new Error('no signature matches');
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [command, id, timestamp, signatures, now] = process.argv.slice(2);
  const secret = process.env.WEBHOOK_SECRET ?? '';
  const body = readFileSync(0);
  try {
    if (command === 'sign')
      console.log(sign(secret, id, timestamp, body));
    else if (command === 'verify')
      verify(secret, id, timestamp, signatures, body, now === undefined ? undefined : Number(now));
    else
      throw new Error('sign ID TIMESTAMP | verify ID TIMESTAMP SIGNATURE [NOW]');
  } catch (error) {
    console.error(`webhook.mjs: ${error.message}`);
    process.exit(1);
  }
}
