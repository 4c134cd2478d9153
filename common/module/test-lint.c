/* Malformed descriptors, and what their vendor is told. */
#include "common/module/lint.h"

#include <glib.h>
#include <string.h>

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HEAD                                                                                                 \
  "[Plugin]\nformat=1\nid=weather\nname=Weather\nversion=3.2\nobject=libweather.so\nsha256=" SHA "\n"

static const struct
{
  const char *tail; /* behind HEAD, from line 8 */
  const char *error;
} refusals[] = {
  { "[Permissions]\ncolour=red\n", "w.legacy:9: [Permissions] colour: unknown key" },
  { "[Colours]\n", "w.legacy:8: [Colours]: unknown group" },
  { "[Plugin]\n", "w.legacy:8: [Plugin]: comes twice" },
  { "id=again\n", "w.legacy:8: [Plugin] id: comes twice" },
  { "no equals sign\n", "w.legacy:8: is neither a group, nor key=value, nor a comment" },
  { "x=\\q\n", "w.legacy:8: has an unknown escape" },
  { "x=\377\n", "w.legacy:8: is not UTF-8 text" },
  { "x=a\342\200\256\n", "w.legacy:8: is not UTF-8 text" },
  { "x=a\355\240\200\n", "w.legacy:8: is not UTF-8 text" },
  { "[Symbols]\ncheck=long f ()\n", "w.legacy:9: [Symbols] check: unknown type 'long', which is i64 here" },
  { "[Symbols]\ncheck=int f (cstr serial\n", "w.legacy:9: [Symbols] check: expected ')' at ''" },
  { "[Symbols]\ncheck=int f (cstr serial) x\n", "w.legacy:9: [Symbols] check: 'x' is behind the end" },
  { "[Symbols]\ncheck=int f (void serial)\n", "w.legacy:9: [Symbols] check: unknown type 'void'" },
  { "[Symbols]\ncheck=int f (i8 300)\n", "w.legacy:9: [Symbols] check: '300' is not a value of its type" },
  { "[Symbols]\ncheck=int f (i32 serial)\n",
    "w.legacy:9: [Symbols] check: 'serial' cannot be an argument of this type and direction" },
  { "[Symbols]\ncheck=int f (cstr jid)\n", "w.legacy:9: [Symbols] check: 'jid' needs identity=yes" },
  { "[Symbols]\ncheck=int f (cstr input)\n",
    "w.legacy:9: [Symbols] check: 'input' is there in commands only" },
  { "[Symbols]\ncheck=int f (handle ctx)\n",
    "w.legacy:9: [Symbols] check: 'ctx' is used, but no call sets it" },
  { "[Symbols]\ncheck=int f (cb host_log)\n",
    "w.legacy:9: [Symbols] check: callback 'host_log' is not in [Provide]" },
  { "[Symbols]\ncheck=int f (i32 sizeof(x))\n",
    "w.legacy:9: [Symbols] check: sizeof of what is not a buffer of this call" },
  { "[Symbols]\ncheck=int f (i8 sizeof(x), buf 200 x)\n",
    "w.legacy:9: [Symbols] check: a buffer's size does not fit its type" },
  { "[Symbols]\ncheck=int f (buf 65537 x)\n", "w.legacy:9: [Symbols] check: a buffer has 1 to 65536 bytes" },
  { "[Symbols]\na=int f (out u32 t)\nb=int g (u64 t)\n",
    "w.legacy:10: [Symbols] b: 't' has another type elsewhere" },
  { "[Symbols]\na=int f (1)\n", "w.legacy:9: [Symbols] a: unknown type '1)'" },
  { "[Symbols]\na=int f (int 0,int 0,int 0,int 0,int 0,int 0,int 0,int 0,int 0,int 0,int 0,int 0,int 0)\n",
    "w.legacy:9: [Symbols] a: more than 12 arguments" },
  { "[Symbols]\na=int f (out i64 expires:weeks)\n", "w.legacy:9: [Symbols] a: unknown time format 'weeks'" },
  { "[Symbols]\nmessage=void f (int code)\n", "w.legacy:9: [Symbols] message: gives no text" },
  { "[Return check]\n0=ok\n", "w.legacy:9: [Return check] 0: there is no call 'check'" },
  { "[Symbols]\ncheck=int f ()\n[Return check]\n0=fine\n",
    "w.legacy:11: [Return check] 0: unknown class 'fine'" },
  { "[Symbols]\ncheck=int f ()\n[Return check]\nbig=ok\n",
    "w.legacy:11: [Return check] big: is neither a number nor a predicate" },
  { "[Symbols]\ncheck=int f ()\n[Return check]\nnull=ok\n",
    "w.legacy:11: [Return check] null: does not suit the call's result" },
  { "[Symbols]\ncheck=int f ()\n[Return check]\nfree=x\n",
    "w.legacy:11: [Return check] free: the call gives no text to free" },
  { "[Phase begin]\nsteps=a\n", "w.legacy:9: [Phase begin] steps: there is no phase 'begin'" },
  { "[Phase start]\nsteps=a\n", "w.legacy:9: [Phase start] steps: no step 'a' in [Symbols]" },
  { "[Symbols]\nstart=int f ()\n[Phase start]\nsteps=start\n",
    "w.legacy:11: [Phase start] steps: the symbol 'start' is the whole phase already" },
  { "[Command weather]\nhelp=x\n", "w.legacy:9: [Command weather]: has no call=" },
  { "[Command We]\nhelp=x\n", "w.legacy:9: [Command We] help: 'We' is not a name for a command" },
  { "[Symbols]\ncheck=int f ()\n[Command check]\ncall=int g ()\n",
    "w.legacy:11: [Command check] call: the name 'check' is taken" },
  { "[Provide]\nf=cstr () -> colour\n", "w.legacy:9: [Provide] f: unknown action 'colour'" },
  { "[Provide]\nf=int () -> serial\n", "w.legacy:9: [Provide] f: 'serial' needs the result cstr" },
  { "[Provide]\nf=void (int level) -> log\n", "w.legacy:9: [Provide] f: log needs an argument 'cstr text'" },
  { "[Provide]\n1f=int () -> 0\n", "w.legacy:9: [Provide] 1f: is not a symbol" },
  { "[Deliver]\nenv=LD_PRELOAD\n", "w.legacy:9: [Deliver] env: 'LD_PRELOAD' is not a name for a variable" },
  { "[Deliver]\nfile=../x\n", "w.legacy:9: [Deliver] file: '../x' is not a file's name" },
  { "[Deliver]\nfile=x\n", "w.legacy:9: [Deliver] file: needs data= of at least 4K in [Permissions]" },
  { "[Deliver]\nglobal=char g[1]\n", "w.legacy:9: [Deliver] global: '1' is not a size from 2 to 65536" },
  { "[Deliver]\nglobal=int g\n",
    "w.legacy:9: [Deliver] global: is neither 'char NAME[SIZE]' nor 'cstr NAME'" },
  { "[Permissions]\nconnect=example.org\n",
    "w.legacy:9: [Permissions] connect: 'example.org' is not HOST:PORT" },
  { "[Permissions]\nconnect=a:0\n", "w.legacy:9: [Permissions] connect: 'a:0' is not HOST:PORT" },
  { "[Permissions]\nconnect=a b:80\n", "w.legacy:9: [Permissions] connect: 'a b' is not a host" },
  { "[Permissions]\nconnect=a:1;a:2;a:3;a:4;a:5;a:6;a:7;a:8;a:9\n",
    "w.legacy:9: [Permissions] connect: more than 8 addresses" },
  { "[Permissions]\nread=etc\n",
    "w.legacy:9: [Permissions] read: 'etc' is not an absolute path without '..'" },
  { "[Permissions]\nread=/usr/../etc\n",
    "w.legacy:9: [Permissions] read: '/usr/../etc' is not an absolute path without '..'" },
  { "[Permissions]\ndata=1T\n", "w.legacy:9: [Permissions] data: unknown unit 'T'" },
  { "[Permissions]\nthreads=maybe\n", "w.legacy:9: [Permissions] threads: 'maybe' is neither yes nor no" },
  { "[Permissions]\nmessages=see\n", "w.legacy:9: [Permissions] messages: unknown key" },
  { "[Limits]\nmemory=1M\n", "w.legacy:9: [Limits] memory: is not from 16777216 to 4294967296 bytes" },
  { "[Limits]\ncall-timeout-ms=0\n",
    "w.legacy:9: [Limits] call-timeout-ms: '0' is not a number from 50 to 60000" },
  { "[Limits]\nrestart=often\n",
    "w.legacy:9: [Limits] restart: 'often' is not a number of restarts and their time, like 3/60s" },
  { "[Plugin2]\nx=1\n", "w.legacy:8: [Plugin2]: unknown group" },
  { "[Provide]\nf=void (handle h) -> nothing\n",
    "w.legacy:9: [Provide] f: an imported symbol has no arguments of this type" },
  { "[Provide]\nf=handle () -> serial\n",
    "w.legacy:9: [Provide] f: an imported symbol cannot return a handle" },
  { "[Provide]\nf=int (cstr text, cstr text) -> log\n",
    "w.legacy:9: [Provide] f: two arguments are the text" },
  { "[Provide]\nf=void (ptr text) -> output\n",
    "w.legacy:9: [Provide] f: output needs an argument 'cstr text'" },
  { "[Provide]\nf=int (ptr buffer) -> copy serial\n",
    "w.legacy:9: [Provide] f: copy needs the arguments 'ptr buffer' and an integer 'size'" },
  { "[Provide]\nf=int (ptr buffer, int size) -> copy expiry\n",
    "w.legacy:9: [Provide] f: 'expiry' needs an integer result" },
  { "[Provide]\nf=cstr (ptr buffer, int size) -> copy serial\n",
    "w.legacy:9: [Provide] f: copy has no such result" },
  { "[Provide]\nf=void () -> ready\n",
    "w.legacy: [Phase start] thread: is not yes, but a symbol of [Provide] says when it is ready" },
  { "[Provide]\nf=f64 () -> expiry\n", "w.legacy:9: [Provide] f: 'expiry' needs an integer result" },
  { "[Provide]\nf=cstr () -> jid\n", "w.legacy:9: [Provide] f: 'jid' needs identity=yes" },
  { "[Provide]\nf=int () => 0\n", "w.legacy:9: [Provide] f: expected '-' at '=> 0'" },
  { "[Provide]\nf=u8 () -> 256\n", "w.legacy:9: [Provide] f: '256' is not a value of its type" },
  { "[Provide]\nf=void () -> nothing at all\n", "w.legacy:9: [Provide] f: 'at all' is behind the end" },
  { "[Provide]\nf=int () -> expiry:weeks\n", "w.legacy:9: [Provide] f: unknown time format 'weeks'" },
  { "[Provide]\nf=cstr () -> input\n", "w.legacy:9: [Provide] f: unknown action 'input'" },
  { "[Handles]\n1h=x\n", "w.legacy:9: [Handles] 1h: is not a name for a handle" },
  { "[Handles]\nserial=x\n", "w.legacy:9: [Handles] serial: is not a name for a handle" },
  { "[Handles]\nh=x-y\n", "w.legacy:9: [Handles] h: 'x-y' is not a symbol" },
  { "[Table 1]\n0=null\n", "w.legacy:9: [Table 1] 0: '1' is not a name for a table" },
  { "[Table t]\n32=null\n", "w.legacy:9: [Table t] 32: is not a word's number, 0 to 31" },
  { "[Table t]\nx=null\n", "w.legacy:9: [Table t] x: is not a word's number, 0 to 31" },
  { "[Table t]\n0=cb f\n", "w.legacy:9: [Table t] 0: callback 'f' is not in [Provide]" },
  { "[Table t]\n0=f64 1.5\n", "w.legacy:9: [Table t] 0: a table holds no such numbers" },
  { "[Table t]\n0=cstr serial\n",
    "w.legacy:9: [Table t] 0: a table holds callbacks, whole numbers, texts and null" },
  { "[Table t]\n0=i64 1 2\n", "w.legacy:9: [Table t] 0: '2' is behind the end" },
  { "[Symbols]\ncheck=int f (table t)\n", "w.legacy:9: [Symbols] check: there is no [Table t]" },
  { "[Symbols]\nf=int api[3] ()\n", "w.legacy:9: [Symbols] f: 'api' is used, but no call sets it" },
  { "[Symbols]\nf=int api[256] ()\n", "w.legacy:9: [Symbols] f: a slot is 0 to 255" },
  { "[Symbols]\nf=int api[x] ()\n", "w.legacy:9: [Symbols] f: expected a slot's number at 'x] ()'" },
  { "[Symbols]\nf=int api[1][2][3] ()\n", "w.legacy:9: [Symbols] f: more than 2 slots" },
  { "[Symbols]\nf=int api[1 ()\n", "w.legacy:9: [Symbols] f: expected ']' at '()'" },
  { "[Symbols]\ncheck=list f ()\n", "w.legacy:9: [Symbols] check: a list can only be a command's output" },
  { "[Symbols]\ncheck=int f (out list x)\n",
    "w.legacy:9: [Symbols] check: a list can only be a command's output" },
  { "[Symbols]\ncheck=handle f ()\n", "w.legacy:9: [Symbols] check: expected a symbol at '()'" },
  { "[Symbols]\ncheck=handle serial f ()\n",
    "w.legacy:9: [Symbols] check: 'serial' is not a name for a handle" },
  { "[Symbols]\ncheck=int\n", "w.legacy:9: [Symbols] check: expected a symbol at ''" },
  { "[Symbols]\ncheck=int 3f ()\n", "w.legacy:9: [Symbols] check: expected a symbol at '3f ()'" },
  { "[Symbols]\ncheck=int f (cstr \"x)\n", "w.legacy:9: [Symbols] check: a text has no end" },
  { "[Symbols]\ncheck=int f (i32 \"x\")\n", "w.legacy:9: [Symbols] check: a text must be a cstr" },
  { "[Symbols]\ncheck=int f (i32 1.5)\n", "w.legacy:9: [Symbols] check: '1.5' is not a value of its type" },
  { "[Symbols]\ncheck=int f (bool 2)\n", "w.legacy:9: [Symbols] check: '2' is not a value of its type" },
  { "[Symbols]\ncheck=int f (len(expiry))\n", "w.legacy:9: [Symbols] check: 'expiry' has no length" },
  { "[Symbols]\ncheck=int f (cstr len(serial))\n", "w.legacy:9: [Symbols] check: a size must be an integer" },
  { "[Symbols]\ncheck=int f (out cstr serial)\n",
    "w.legacy:9: [Symbols] check: 'serial' cannot be an argument of this type and direction" },
  { "[Symbols]\ncheck=int f (buf serial)\n",
    "w.legacy:9: [Symbols] check: expected a buffer's size at 'serial)'" },
  { "[Symbols]\ncheck=int f (buf 9 serial)\n",
    "w.legacy:9: [Symbols] check: a buffer is 'output' or has a name of its own" },
  { "[Symbols]\ncheck=int f (cstr output)\n",
    "w.legacy:9: [Symbols] check: 'output' is there in commands and the message only" },
  { "[Symbols]\ncheck=int f (int code)\n",
    "w.legacy:9: [Symbols] check: 'code' is there in the message only" },
  { "[Symbols]\ncheck=int f (cstr user:2)\n",
    "w.legacy:9: [Symbols] check: only times, the input and a keygen's term have parts" },
  { "[Symbols]\ncheck=int f (cstr)\n", "w.legacy:9: [Symbols] check: expected a variable at ')'" },
  { "[Symbols]\ncheck=int f (,)\n", "w.legacy:9: [Symbols] check: unknown type ',)'" },
  { "[Symbols]\ncheck=int f (buf 4 a, inout u32 sizeof(b))\n",
    "w.legacy:9: [Symbols] check: sizeof of what is not a buffer of this call" },
  { "[Symbols]\ns0=int f (out int v0)\ns1=int f (out int v1)\ns2=int f (out int v2)\ns3=int f (out int "
    "v3)\ns4=int f (out int v4)\ns5=int f (out int v5)\ns6=int f (out int v6)\ns7=int f (out int v7)\ns8=int "
    "f (out int v8)\ns9=int f (out int v9)\ns10=int f (out int v10)\ns11=int f (out int v11)\ns12=int f (out "
    "int v12)\ns13=int f (out int v13)\ns14=int f (out int v14)\ns15=int f (out int v15)\ns16=int f (out int "
    "v16)\n",
    "w.legacy:25: [Symbols] s16: more than 16 names of its own" },
  { "[Symbols]\na-b=int xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx ()\n",
    "w.legacy:9: [Symbols] a-b: a name is longer than 63 characters" },
  { "[Command c]\ncall=int f (cstr input:0)\n",
    "w.legacy:9: [Command c] call: a word of the input is numbered 1 to 9" },
  { "[Command c]\ncall=int f (cstr input:12)\n",
    "w.legacy:9: [Command c] call: a word of the input is numbered 1 to 9" },
  { "[Command c]\ncall=int f (ptr input)\n",
    "w.legacy:9: [Command c] call: 'input' cannot be an argument of this type and direction" },
  { "[Command c]\ncall=int f (cstr input:x)\n",
    "w.legacy:9: [Command c] call: a word of the input is numbered 1 to 9" },
  { "[Command c]\ncall=int f (u32 count)\n",
    "w.legacy:9: [Command c] call: 'count' is used, but no call sets it" },
  { "[Command c]\ncall=int f (cstr input)\nfree=x\n",
    "w.legacy:10: [Command c] free: the call gives no text to free" },
  { "[Command c]\ncall=int f (out cstr output)\nfree=x y\n",
    "w.legacy:10: [Command c] free: 'x y' is not a symbol" },
  { "[Command c]\ncall=int f (out cstr output)\nfree=void x (cstr input)\n",
    "w.legacy:10: [Command c] free: 'input' is not there in free=" },
  { "[Command c]\ncall=int f (out cstr output)\nshow=hex\n",
    "w.legacy:10: [Command c] show: the call gives neither a whole number nor bytes in 'output'" },
  { "[Command c]\ncall=int f ()\nshow=loud\n",
    "w.legacy:10: [Command c] show: 'loud' is none of text, decimal and hex" },
  { "[Command c]\ncall=int f (out cstr output)\nshow=decimal\n",
    "w.legacy:10: [Command c] show: the call does not return its answer as a number" },
  { "[Command c]\ncolour=red\n", "w.legacy:9: [Command c] colour: unknown key" },
  { "[Symbols]\nstart=void f ()\n[Phase start]\nthread=yes\n",
    "w.legacy:11: [Phase start] thread: needs threads=yes in [Permissions]" },
  { "[Permissions]\nthreads=yes\n[Phase start]\nthread=yes\n",
    "w.legacy:11: [Phase start] thread: there is nothing to start" },
  { "[Permissions]\nthreads=yes\n[Symbols]\nstart=handle h f ()\n[Phase start]\nthread=yes\n",
    "w.legacy:11: [Symbols] start: has a thread of its own, and cannot give a handle or text" },
  { "[Permissions]\nthreads=yes\n[Symbols]\nstart=int f (out int x)\n[Phase start]\nthread=yes\n",
    "w.legacy:11: [Symbols] start: has a thread of its own, and cannot set 'x'" },
  { "[Permissions]\nthreads=yes\n[Symbols]\nstart=int f ()\n[Phase start]\nthread=yes\nsettle-ms=3000\n",
    "w.legacy:14: [Phase start] settle-ms: is not less than call-timeout-ms" },
  { "[Symbols]\na=int f ()\n[Phase init]\nthread=yes\n", "w.legacy:11: [Phase init] thread: unknown key" },
  { "[Symbols]\na=int f ()\n[Phase init]\nsteps=a b\n",
    "w.legacy:11: [Phase init] steps: 'a b' is not a symbol's name" },
  { "[Symbols]\na=int f ()\n[Phase init]\nsteps=a,\n",
    "w.legacy:11: [Phase init] steps: no step '' in [Symbols]" },
  { "[Symbols]\na=int f ()\n[Phase init]\nsteps=a,a,a,a,a,a,a,a,a\n",
    "w.legacy:11: [Phase init] steps: more than 8 steps" },
  { "[Symbols]\ncheck=void f ()\n[Return check]\n0=ok\n",
    "w.legacy:11: [Return check] 0: does not suit the call's result" },
  { "[Symbols]\ncheck=f64 f ()\n[Return check]\nzero=ok\n",
    "w.legacy:11: [Return check] zero: does not suit the call's result" },
  { "[Symbols]\ncheck=int f ()\n[Return "
    "check]\n0=ok\n1=ok\n2=ok\n3=ok\n4=ok\n5=ok\n6=ok\n7=ok\n8=ok\n9=ok\n10=ok\n11=ok\n12=ok\n13=ok\n14="
    "ok\n15=ok\n16=ok\n",
    "w.legacy:27: [Return check] 16: more than 16 results" },
  { "[Symbols]\ncheck=int f ()\n[Return check]\n0=ok "
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n",
    "w.legacy:11: [Return check] 0: its words are not one line of at most 200 bytes" },
  { "[Symbols]\ncheck=int f ()\n[Return check]\n0=\n", "w.legacy:11: [Return check] 0: unknown class ''" },
  { "[Deliver]\nfax=1\n", "w.legacy:9: [Deliver] fax: unknown key" },
  { "[Deliver]\nglobal=char g[x]\n", "w.legacy:9: [Deliver] global: 'x' is not a size from 2 to 65536" },
  { "[Deliver]\nglobal=cstr 1g\n", "w.legacy:9: [Deliver] global: '1g' is not a symbol" },
  { "[Permissions]\nread=/x/..\n",
    "w.legacy:9: [Permissions] read: '/x/..' is not an absolute path without '..'" },
  { "[Permissions]\nidentity=1\n", "w.legacy:9: [Permissions] identity: '1' is neither yes nor no" },
  { "[Permissions]\nfunctions=yes\n", "w.legacy:9: [Permissions] functions: unknown key" },
  { "[Permissions]\ndata=\n", "w.legacy:9: [Permissions] data: '' is not a size, like 64K, 1M or 2G" },
  { "[Permissions]\ndata=2G\n", "w.legacy:9: [Permissions] data: is not from 0 to 1073741824 bytes" },
  { "[Limits]\nmemory=8G\n", "w.legacy:9: [Limits] memory: is not from 16777216 to 4294967296 bytes" },
  { "[Limits]\nrestart=3/0s\n",
    "w.legacy:9: [Limits] restart: '3/0s' is not a number of restarts and their time, like 3/60s" },
  { "[Limits]\ncolour=red\n", "w.legacy:9: [Limits] colour: unknown key" },
  { "[Limits]\ncall-timeout-ms=60001\n",
    "w.legacy:9: [Limits] call-timeout-ms: '60001' is not a number from 50 to 60000" },
  { "[Symbols]\nkeygen=int k (buf 64 output)\n[Permissions]\nthreads=yes\n",
    "w.legacy:11: [Permissions] threads: a keygen has no [Permissions]" },
  { "[Symbols]\nkeygen=int k (buf 64 output)\ncheck=int f ()\n",
    "w.legacy:10: [Symbols] check: a keygen has no check" },
  { "[Symbols]\nkeygen=int k (buf 64 output)\n[Command c]\ncall=int f ()\n",
    "w.legacy:11: [Command c] call: a keygen has no [Command]" },
  { "[Symbols]\nkeygen=int k (buf 64 output)\n[Deliver]\nenv=X\n",
    "w.legacy:11: [Deliver] env: a keygen has no [Deliver]" },
  { "[Symbols]\nkeygen=int k (buf 64 output)\n[Limits]\nmemory=64M\n",
    "w.legacy:11: [Limits] memory: a keygen has no [Limits]" },
  { "[Symbols]\nkeygen=int k (buf 64 output)\n[Phase start]\nsteps=keygen\n",
    "w.legacy:11: [Phase start] steps: a keygen has no start" },
  { "[Symbols]\nkeygen=int k (cstr user)\n", "w.legacy:9: [Symbols] keygen: gives no serial" },
  { "[Symbols]\nkeygen=int k (cstr serial, buf 9 output)\n",
    "w.legacy:9: [Symbols] keygen: 'serial' is not there in a keygen" },
  { "[Symbols]\nkeygen=int k (int term, buf 9 output)\n",
    "w.legacy:9: [Symbols] keygen: the term as a number is 'term:days'" },
  { "[Symbols]\nkeygen=int k (cstr term:days, buf 9 output)\n",
    "w.legacy:9: [Symbols] keygen: the term as a number is 'term:days'" },
  { "[Symbols]\nkeygen=int k (buf 64 output)\ninit=int f (cstr user)\n",
    "w.legacy:10: [Symbols] init: is called before there is a request" },
  { "[Symbols]\nkeygen=int k (buf 64 output)\n[Provide]\nf=void (cstr text) -> notify\n",
    "w.legacy:11: [Provide] f: unknown action 'notify'" },
  { "[Symbols]\nkeygen=int k (buf 64 output)\n[Provide]\nf=cstr () -> jid\n",
    "w.legacy:11: [Provide] f: 'jid' is not there in a keygen" },
  { "[Symbols]\ncheck=int f (u32 seed)\n",
    "w.legacy:9: [Symbols] check: 'seed' is used, but no call sets it" },
  { "]\n", "w.legacy:8: is neither a group, nor key=value, nor a comment" },
  { "[x\n", "w.legacy:8: is not a group's head" },
  { "[]\n", "w.legacy:8: is not a group's head" },
  { "key x=1\n", "w.legacy:8: has a key of other characters than letters, digits, '-', '_' and '.'" },
  { "=1\n", "w.legacy:8: has a key of other characters than letters, digits, '-', '_' and '.'" },
};

static void
test_every_error_names_file_line_group_and_key (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (refusals); i++)
    {
      g_autofree char *text = g_strconcat (HEAD, refusals[i].tail, NULL);
      DescriptorError error;
      Descriptor *d = descriptor_parse ("w.legacy", DESCRIPTOR_LEGACY, text, strlen (text), &error);

      g_test_message ("%s", refusals[i].tail);
      g_assert_cmpstr (error.text, ==, refusals[i].error);
      g_assert_null (d);
    }
}

/* Lists longer than their limits. */
static void
test_every_list_has_its_limit (void)
{
  static const struct
  {
    const char *group, *entry, *error;
    guint n;
  } rows[] = {
    { "[Symbols]\n", "s%u=int f ()\n", "w.legacy:57: [Symbols] s48: more than 48 calls", 49 },
    { "[Symbols]\n", "s%u=int f (out int v%u)\n", "w.legacy:25: [Symbols] s16: more than 16 names of its own",
      17 },
    { "[Provide]\n", "s%u=void () -> nothing\n", "w.legacy:41: [Provide] s32: more than 32 imported symbols",
      33 },
    { "[Handles]\n", "h%u=x\n", "w.legacy:25: [Handles] h16: more than 16 names of its own", 17 },
    { "", "[Table t%u]\n0=null\n", "w.legacy:17: [Table t4] 0: more than 4 tables", 5 },
    { "", "[Command c%u]\ncall=int f ()\n", "w.legacy:73: [Command c32] call: more than 32 commands", 33 },
    { "", "[Command c%u]\n", "w.legacy:71: [Command c63]: more than 64 groups", 64 },
    { "[Permissions]\n", "k%u=1\n", "w.legacy:515: [Permissions] k506: more than 512 keys", 513 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GString) text = g_string_new (HEAD);
      DescriptorError error;

      g_string_append (text, rows[i].group);
      for (guint k = 0; k < rows[i].n; k++)
        {
          g_autofree char *number = g_strdup_printf ("%u", k);
          g_auto (GStrv) parts = g_strsplit (rows[i].entry, "%u", -1);
          g_autofree char *entry = g_strjoinv (number, parts);

          g_string_append (text, entry);
        }
      g_assert_null (descriptor_parse ("w.legacy", DESCRIPTOR_LEGACY, text->str, text->len, &error));
      g_assert_cmpstr (error.text, ==, rows[i].error);
    }
}

static void
collect (const LintFinding *finding, void *data)
{
  g_ptr_array_add (data, g_strdup_printf ("%s %u %s", finding->is_error ? "error" : "warning", finding->line,
                                          finding->text));
}

static void
expect (DescriptorKind kind, const char *text, const char *const *findings)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_free);
  guint n_errors = lint_descriptor ("w.legacy", kind, text, strlen (text), collect, found);
  guint n = 0, n_expected_errors = 0;

  for (; findings[n] != NULL; n++)
    {
      g_assert_cmpstr (n < found->len ? found->pdata[n] : "nothing", ==, findings[n]);
      n_expected_errors += g_str_has_prefix (findings[n], "error ");
    }
  g_assert_cmpuint (found->len, ==, n);
  g_assert_cmpuint (n_errors, ==, n_expected_errors);
}

static void
test_all_errors_are_found_at_once (void)
{
  static const char *const findings[]
      = { "error 8 w.legacy:8: [Colours]: unknown group",
          "error 15 w.legacy:15: is neither a group, nor key=value, nor a comment",
          "error 11 w.legacy:11: [Permissions] data: unknown unit 'X'",
          "error 13 w.legacy:13: [Symbols] check: unknown type 'long', which is i64 here",
          "error 17 w.legacy:17: [Return check] 1: unknown class 'fine'",
          NULL };

  expect (DESCRIPTOR_LEGACY,
          HEAD "[Colours]\nred=1\n[Permissions]\ndata=1X\n[Symbols]\ncheck=long f ()\n"
               "stop=void g ()\nnonsense\n[Return check]\n1=fine\n0=ok\n",
          findings);
}

static void
test_an_error_leads_to_no_further_ones (void)
{
  /* What comes from a call that could not be read is not said to be missing as well. */
  static const char *const findings[] = { "error 9 w.legacy:9: [Symbols] open: unknown type 'hnadle'", NULL };

  expect (DESCRIPTOR_LEGACY,
          HEAD "[Symbols]\nopen=hnadle h f ()\ncheck=int g (handle h)\n[Return check]\n0=ok\n", findings);
}

static void
test_what_is_hardly_meant_is_a_warning (void)
{
  static const char *const findings[]
      = { "warning 0 w.legacy: [Permissions] read: '/etc' is more than a user will grant",
          "warning 0 w.legacy: [Symbols] check: is missing: it has a serial, which nothing judges",
          "warning 0 w.legacy: [Symbols] step: is never called: it is no phase and in no steps=",
          "warning 0 w.legacy: [Return start]: no result is ok",
          "warning 0 w.legacy: [Command c]: has no help=",
          "warning 0 w.legacy: [Table t]: is given to no call",
          NULL };

  expect (DESCRIPTOR_LEGACY,
          HEAD
          "[Permissions]\nread=/etc\n[Symbols]\nstep=int f ()\nstart=int g (cstr serial)\n[Return start]\n"
          "1=expired\n[Command c]\ncall=cstr h ()\n[Table t]\n0=null\n",
          findings);
}

static void
test_a_good_descriptor_has_no_findings (void)
{
  static const char *const none[] = { NULL };

  expect (DESCRIPTOR_LEGACY,
          HEAD "[Symbols]\ncheck=int f (cstr serial)\n[Command c]\ncall=cstr h ()\nhelp=What it does\n",
          none);
  expect (DESCRIPTOR_LEGACY, HEAD "[Symbols]\nkeygen=int f (cstr user, u32 seed, buf 64 output)\n", none);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/lint/every-error-names-file-line-group-and-key",
                   test_every_error_names_file_line_group_and_key);
  g_test_add_func ("/lint/every-list-has-its-limit", test_every_list_has_its_limit);
  g_test_add_func ("/lint/all-errors-are-found-at-once", test_all_errors_are_found_at_once);
  g_test_add_func ("/lint/an-error-leads-to-no-further-ones", test_an_error_leads_to_no_further_ones);
  g_test_add_func ("/lint/what-is-hardly-meant-is-a-warning", test_what_is_hardly_meant_is_a_warning);
  g_test_add_func ("/lint/a-good-descriptor-has-no-findings", test_a_good_descriptor_has_no_findings);
  return g_test_run ();
}
