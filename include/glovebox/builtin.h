/* SPDX-License-Identifier: Apache-2.0 */
/*
 * glovebox/builtin.h - actors that come with Glovebox.
 *
 *  struct gbx_flow_config config = {..., .types = gbx_builtin_types};
 *  gbx_flow_add_node(flow, "tick", "timer", "{\"interval_ms\":100}", &err);
 *
 * A node's metadata has the members that are named below, beside those that
 * every node has (flow.h); what is not named is not looked at.  A member that
 * is not what it must be is an error of gbx_flow_add_node, which names it.
 * What cannot be done with a message makes its run fail, with a reason.
 *
 * log       in -> out: passes each on, and writes it, a line of JSON:
 *           {"node":"n","port":"in","message":{"type":"Integer","data":1}}.
 *           To file descriptor 2, or as context says (gbx_builtin_log).
 *   bytes_max  of a body that is shown; of others, how many (4096)
 *
 * file_in   -> out, end: reads a file at the start, and at each message to
 *           `again`.  Then its number of messages goes to `end`, an Integer.
 *   path       a regular file; must be there
 *   as         "whole", "lines" (without their ends), or "chunks"  ("whole")
 *   type       "String" (which must be UTF-8; not of chunks) or "Stream"
 *   bytes_max  of one message: of the file, of a line, of each chunk
 *              (16 MiB, 1 MiB, 64 KiB)
 *
 * file_out  in -> out: writes each to a file, and passes it on when that is
 *           done.  String and Stream as they are, others as JSON.  What cannot
 *           be written whole is not written.
 *   path       a file, made if it is not there; its folder must be
 *   mode       "append" or "overwrite": it is emptied when the node is made
 *              ("append")
 *   lines      a newline after each (false)
 *   sync       it is on the disk before it is passed on (false)
 *   bytes_max  of the file (1 GiB)
 *
 * timer     -> out: says so from time to time.  Who is late leaves some out.
 *   interval_ms  1 to 86400000; must be there
 *   count        how often; 0: for ever (0)
 *   sends        "Flow", or "Integer": 0, 1, 2 ... ("Flow")
 *
 * merge     in, in1 ... in15 -> out: passes all on, from each inport in turn.
 *           A port may have any number of connections, so `in` is often enough.
 *
 * split     in -> out, end: takes apart; then how many goes to `end`.
 *           Array: its items.  Object: an Object for each of its fields, or the
 *           values alone.  String, Stream: pieces, which are not copied.
 *   fields     "pairs" or "values" of an Object ("pairs")
 *   bytes      of a piece (64 KiB); of a String less, where a character ends
 *
 * template  in -> out: a text with what an Object holds, a String.
 *   template   the text: {{field}}, {{field.sub}}, {{.}} for all of it; numbers
 *              as JSON has them, Objects and Arrays as JSON; null is nothing
 *   missing    "fail", or "empty": a field that is not there ("fail")
 *   bytes_max  of the text that comes out (1 MiB); in come 4 MiB at most
 *
 * counter   in, reset -> out: how many have come to `in`, at each n-th.  Its
 *           state keeps it ("count"); a message to `reset` makes it 0.
 *   every      n (1)
 *
 * edge_out  in -> stored: an edge to another computer, through NATS JetStream:
 *           each is stored there, once, and then passed on.
 * edge_in   -> out: the same edge's other end: all that was put, in its order;
 *           each is there until this flow has taken it over.  One flow has it.
 *   url        nats://HOST:PORT or tls://; must be there
 *   edge       its name: letters, digits, - and _; must be there
 *   token_file, ca_file  what the server wants, who signs its certificate
 *   bytes_max  of a message (64 MiB)
 *
 * Paths: an absolute one is opened as it is, but that its last part must be no
 * link; a relative one lies in the flow's folder: it has no "..", and no part
 * of it may be a link.  They come from the graph, never from a message.
 *
 * Ports are fixed: a type that needs more of them is a copy of one of these
 * with lists of its own.
 */
#ifndef GBX_BUILTIN_H
#define GBX_BUILTIN_H

#include "glovebox/actor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Ends with NULL. */
extern const struct gbx_actor_type *const gbx_builtin_types[];

/* Returns the type of a component, or NULL. */
const struct gbx_actor_type *gbx_builtin_find(const char *component);

/*
 * Where a log writes: the context of a copy of its type, borrowed as long as
 * that.
 *
 *  struct gbx_actor_type my_log = *gbx_builtin_find("log");
 *  my_log.context = &where;
 */
struct gbx_builtin_log {
    /* A line with its end, borrowed; in the thread of the run. */
    void (*write)(void *context, const char *line, size_t bytes);
    void *context;
};

#ifdef __cplusplus
}
#endif

#endif
