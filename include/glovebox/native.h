/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/native.h - a program that is a script itself: no interpreter between
 * it and its messages.  `glovebox run ./program`, or gbx_script_open.
 *
 *  static int process(void *context, struct gbx_native_call *call)
 *  {
 *      struct gbx_message in;
 *
 *      if (gbx_native_input(call, "in", &in) < 0)
 *          return gbx_native_fail(call, "TypeError", "nothing at port in");
 *      return gbx_native_answer(call, "out", &in);
 *  }
 *
 *  int main(void)
 *  {
 *      static const struct gbx_native me = {
 *          .struct_bytes = sizeof(me), .process = process};
 *      return gbx_native_serve(&me);
 *  }
 *
 *  cc echo.c $(pkg-config --cflags --libs --static glovebox-native) -o echo
 *
 * It is an ordinary Linux program, sealed like the others: other languages call
 * these functions as they call C.  Structured messages are written and read
 * with glovebox/message.h, which is in the same library.
 *
 * Threads: the one that serves. Others may run while a call does.
 * Memory:  inputs are borrowed until the handler returns, and read-only; they
 *          lie where the caller filled them.  Rooms are lent until it returns.
 *          Nothing is allocated per call.
 * Codes:   0 or a GBX_E* of glovebox/error.h.
 */
#ifndef GBX_NATIVE_H
#define GBX_NATIVE_H

#include "glovebox/message.h"

#ifdef __cplusplus
extern "C" {
#endif

#define GBX_NATIVE_INPUTS_MAX 64u /* in one call */
#define GBX_NATIVE_ROOMS_MAX  64u

struct gbx_native_call;

/* Says what the program is; must live as long as it serves. */
struct gbx_native {
    size_t struct_bytes;
    const char *component;       /* or NULL: the file's name */
    const char *description;     /* or NULL */
    const char *const *inports;  /* ends with NULL; or NULL: any */
    const char *const *outports; /* ends with NULL; or NULL: none are told */
    bool await_all_inports;

    /*
     * The handler.  Below 0 the call fails: as gbx_native_fail said, else with
     * the code's name.  The sandbox stays usable.
     */
    int (*process)(void *context, struct gbx_native_call *call);

    /*
     * Or NULL.  Once, before the first call: config is the caller's, CBOR.
     * Below 0: the script cannot be loaded.
     */
    int (*load)(void *context, const struct gbx_message *config);

    /* Or NULL.  This memory has become a copy: what was drawn by chance is
     * drawn anew, from these bytes. */
    void (*copied)(void *context, const uint8_t seed[32]);
    void *context;
};

/*
 * Serve calls until the host is gone.  Returns an exit status for main; at once
 * where this program was not started by a Glovebox.
 */
int gbx_native_serve(const struct gbx_native *native);

/* The input of a port.  Returns 0, or GBX_EAGAIN: it has none. */
int gbx_native_input(const struct gbx_native_call *call, const char *port,
                     struct gbx_message *message);

/* The same by number, in the order in which they came; the port is borrowed. */
int gbx_native_input_at(const struct gbx_native_call *call, uint32_t index,
                        const char **port, struct gbx_message *message);

/*
 * Memory that the caller will read, 64-byte aligned and not cleared.  A message
 * whose body lies there, or in an input, is sent without a copy.
 * Returns 0; GBX_ELIMIT, GBX_EARENA (the message limit).
 */
int gbx_native_room(struct gbx_native_call *call, size_t bytes, void **room);

/*
 * The same for a typed array: its elements, and a message to be sent when they
 * are written.  array: dtype, rank, dims.
 * Returns also GBX_EARGUMENT.
 */
int gbx_native_array(struct gbx_native_call *call,
                     const struct gbx_array *array, void **elements,
                     struct gbx_message *message);

/* Send; the caller gets it at once.  Returns 0; GBX_EARGUMENT (the port's name,
 * the message), or as room. */
int gbx_native_send(struct gbx_native_call *call, const char *port,
                    const struct gbx_message *message);

/* The same for the last one, which ends the call when the handler returns: one
 * word to the host instead of two.  Once a call. */
int gbx_native_answer(struct gbx_native_call *call, const char *port,
                      const struct gbx_message *message);

/* Say why the call, or loading, fails (call is NULL then).  Returns
 * GBX_ESCRIPT, for the handler to return. */
int gbx_native_fail(struct gbx_native_call *call, const char *type,
                    const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Text for the caller's standard output (1) or error (2), in order with the
 * messages; what goes to file descriptors 1 and 2 gets there too, but not in
 * order. */
int gbx_native_print(struct gbx_native_call *call, int stream, const char *text,
                     size_t bytes);

/*
 * A host call: arguments is an Array (CBOR).  The answer is borrowed until the
 * next one, or until the handler returns.
 * Returns 0; GBX_ESCRIPT: the host refused, and answer is the text why.
 */
int gbx_native_ask(struct gbx_native_call *call, const char *name,
                   const struct gbx_message *arguments,
                   struct gbx_message *answer);

#ifdef __cplusplus
}
#endif

#endif
