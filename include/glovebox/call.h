/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/call.h - one call of a script: filled, run, read, finished.
 *
 * Included by glovebox/runtime.h, which has a call from its begin to its end.
 *
 * Threads: a call belongs to one thread at a time, but gbx_call_cancel may come
 *          from any.  Calls of one script queue up behind each other.
 * Memory:  begin lends a call, finish gives it back with all that it holds; a
 *          call allocates only for text and structured outputs above 256 KiB.
 * Time:    deadlines are CLOCK_MONOTONIC, in nanoseconds; 0 is "never".
 */
#ifndef GBX_CALL_H
#define GBX_CALL_H

#include "glovebox/body.h"
#include "glovebox/message.h"

#ifdef __cplusplus
extern "C" {
#endif

struct gbx_script;
struct gbx_call;

/*
 * Start a call: waits until the script's sandbox is free, opens a new one when
 * the last call broke it.
 * Returns 0 and a call to finish, or a code, and *call is NULL.
 */
int gbx_call_begin(struct gbx_call **call, struct gbx_script *script,
                   uint64_t deadline_ns, struct gbx_error *err);

/*
 * An input of `bytes` bytes for `port`, to be filled in place before run.
 * Returns 0 and *data, borrowed until run; GBX_EPORT, GBX_ELIMIT (larger than
 * the arena may grow, or more than 64 inputs), GBX_EARENA (full of other
 * messages for a second: this call's, or ones that the script keeps).
 */
int gbx_call_room(struct gbx_call *call, const char *port, enum gbx_type type,
                  size_t bytes, void **data, struct gbx_error *err);

/*
 * What gbx_call_room gave last turned out to be too long: its message is only
 * the first `bytes` of it, and the rest is free again.  For data whose length
 * is not known before it ends.  Returns 0; GBX_EARGUMENT: the last input is
 * none of gbx_call_room, or was shorter.
 */
int gbx_call_trim(struct gbx_call *call, size_t bytes, struct gbx_error *err);

/* As gbx_call_room, for a typed array; *data is the place to fill. */
int gbx_call_array(struct gbx_call *call, const char *port,
                   const struct gbx_array *array, void **data,
                   struct gbx_error *err);

/* An input that is already a message; a body is copied once. */
int gbx_call_put(struct gbx_call *call, const char *port,
                 const struct gbx_message *message, struct gbx_error *err);

/*
 * The same of a message whose body lies in `body` (body.h): shown to the script
 * where it lies, if it is large and the isolation can, else copied once.
 * Returns as put; GBX_EBOUNDS: it does not lie there.
 */
int gbx_call_put_body(struct gbx_call *call, const char *port,
                      const struct gbx_message *message, struct gbx_body *body,
                      struct gbx_error *err);

/*
 * Run the script on the inputs and wait for its end.
 * Returns 0; GBX_ESCRIPT or the code of a limit that the script met
 * (gbx_call_failure has more); GBX_ETIME, GBX_ECANCELED, or another.  Where the
 * sandbox did not survive, the next call gets a new one.  After any code but 0
 * the script's state (context.state) is as it was before the call.
 */
int gbx_call_run(struct gbx_call *call, uint64_t deadline_ns,
                 struct gbx_error *err);

/*
 * The same without waiting: submit, then poll gbx_call_fd for reading, then
 * gbx_call_collect until it is not GBX_EAGAIN.  The deadline makes the fd
 * readable too.  collect returns what run would.
 */
int gbx_call_submit(struct gbx_call *call, uint64_t deadline_ns,
                    struct gbx_error *err);
int gbx_call_fd(const struct gbx_call *call); /* borrowed until finish */
int gbx_call_collect(struct gbx_call *call, struct gbx_error *err);

/*
 * Called for each output as it comes, in the thread that runs or collects. Port
 * and message are borrowed until it returns; the script still runs, and may
 * change the bytes of a Stream or typed array meanwhile (gbx_message_hold).
 * Without it outputs are kept for gbx_call_next, 512 at most: one more is
 * GBX_ELIMIT and ends the sandbox.
 */
typedef void (*gbx_arrival_fn)(void *context, const char *port,
                               const struct gbx_message *message);
void gbx_call_on_output(struct gbx_call *call, gbx_arrival_fn fn,
                        void *context);

/*
 * The next output, in the order sent; also after a failure, what came before.
 * Port and message are borrowed until finish.  The body lies where the script
 * wrote it: the script cannot be running, but its text is still a guest's word.
 * Returns 0, or GBX_EAGAIN when there are no more.
 */
int gbx_call_next(struct gbx_call *call, const char **port,
                  struct gbx_message *message);

/*
 * Keep an output's body beyond the call: message is one that next gave, or that
 * an arrival is given, before it returns.  A Stream or a typed array stays
 * where it lies, and its block with it; text and structured values, and what
 * would be too much (body.h), are copied.  The message's body lies in it, at
 * *data, which may be message->body itself.
 * Returns 0 and a body to put; GBX_EARGUMENT: no such output, or no body;
 * GBX_ELIMIT, GBX_EHOST.
 */
int gbx_call_keep(struct gbx_call *call, const struct gbx_message *message,
                  struct gbx_body **body, const void **data,
                  struct gbx_error *err);

/* From any thread, between begin and finish: ends the call with GBX_ECANCELED
 * as soon as can be, and its sandbox with it. */
void gbx_call_cancel(struct gbx_call *call);

/* What a script's exception said.  Borrowed until finish. */
struct gbx_failure {
    const char *type;      /* "ValueError" */
    const char *message;   /* str(exception) */
    const char *traceback; /* as the language prints it */
};
void gbx_call_failure(const struct gbx_call *call, struct gbx_failure *failure);

struct gbx_call_stats {
    uint64_t wall_ns;      /* run, from start to end */
    uint64_t handler_ns;   /* the guest's account of the script's own share */
    uint64_t copied_bytes; /* bodies copied by host and guest in this call */
    uint64_t input_bytes, output_bytes; /* bodies handed over */
    uint32_t sleeps; /* how often the host stopped spinning */
    uint32_t asks;   /* host calls served */
};
void gbx_call_stats(const struct gbx_call *call, struct gbx_call_stats *stats);

/* Gives all memory of the call back.  NULL is allowed. */
void gbx_call_finish(struct gbx_call *call);

#ifdef __cplusplus
}
#endif

#endif
