/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/error.h - what can go wrong, and how it is told.
 *
 * Functions return 0 or a negative GBX_E* code.  Those that open, load or run
 * something also fill a struct gbx_error that the caller owns: the code, the
 * errno of the host where there was one, and a sentence for a person that names
 * the thing and, where there is one, the remedy.  NULL is allowed.
 *
 *  struct gbx_error err;
 *  if (gbx_runtime_open(&runtime, NULL, &err) < 0)
 *      fprintf(stderr, "%s: %s\n", gbx_strerror(err.code), err.what);
 *
 * Threads: all functions, any thread.
 */
#ifndef GBX_ERROR_H
#define GBX_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* One list; the enum, the names and the texts are made from it. */
#define GBX_ERRORS(X)                                                          \
    X(EHOST, -1, "the host refused a system call")                             \
    X(ELIMIT, -2, "a configured limit was reached")                            \
    X(EBOUNDS, -3, "an offset or length leaves its region")                    \
    X(EFORMAT, -4, "the bytes are not what they claim to be")                  \
    X(ETIME, -5, "the deadline passed")                                        \
    X(EBROKEN, -6, "the sandbox broke its promises")                           \
    X(EARGUMENT, -7, "an argument is wrong")                                   \
    X(EFILE, -8, "a file is missing or cannot be read")                        \
    X(ELOAD, -9, "the script cannot be loaded")                                \
    X(ESCRIPT, -10, "the script raised an error")                              \
    X(EPORT, -11, "the script has no such port")                               \
    X(EUNSUPPORTED, -12, "this host lacks something that is needed")           \
    X(ECANCELED, -13, "the call was cancelled")                                \
    X(EAGAIN, -14, "not finished yet")                                         \
    X(ERING, -15, "the ring stayed full until the deadline")                   \
    X(EARENA, -16, "the arena stayed full until the deadline")                 \
    X(EMEMORY, -17, "the memory limit was reached")                            \
    X(ECPU, -18, "the CPU time limit was reached")                             \
    X(EPROCESSES, -19, "the process limit was reached")                        \
    X(EFILES, -20, "the open files limit was reached")                         \
    X(EOUTPUT, -21, "the output limit was reached")                            \
    X(EDISK, -22, "the private file system is full")                           \
    X(EEXIT, -23, "the script ended its process without an answer")            \
    X(ESIGNAL, -24, "a signal killed the script's process")                    \
    X(ESTALE, -25, "a template was made by or for something else")             \
    X(ETRAP, -26, "the WebAssembly module trapped")                            \
    X(EUNKNOWN, -27, "a host was lost: whether the call ran is not known")

enum gbx_errno {
#define X(name, value, text) GBX_##name = value,
    GBX_ERRORS(X)
#undef X
};

#define GBX_ERROR_TEXT_MAX 240

struct gbx_error {
    int code;                      /* enum gbx_errno */
    int sys;                       /* errno at the time, or 0 */
    char what[GBX_ERROR_TEXT_MAX]; /* for a person; never parsed */
};

/* Returns the text of a code; of an unknown one, a text that says so. */
const char *gbx_strerror(int code);

/* Returns the code's name, "ETIME"; of an unknown one, "?". */
const char *gbx_error_name(int code);

#ifdef __cplusplus
}
#endif

#endif
