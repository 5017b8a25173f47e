/* SPDX-License-Identifier: Apache-2.0 */
/*
 * graph.h - how a graph lies in memory; for the files of this folder.
 *
 *   root  (jansson)  --->  the document: all that was in the file
 *   tables           --->  nodes, connections, initials, inports, outports,
 *                          groups: a record each, which points at its value in
 *                          the document, and an index by name
 *
 * The document is the truth: it is what is written.  The records are made from
 * it, and never otherwise: what is added is put into the document and read from
 * there; to remove or rename, a copy of the document is changed and read anew.
 * So there is one place that understands a file, read.c, and an edit that fails
 * half-way has changed nothing.
 *
 * Threads: as the public headers say.
 */
#ifndef FLOW_GRAPH_GRAPH_H
#define FLOW_GRAPH_GRAPH_H

#include <jansson.h>
#include <stdbool.h>

#include "glovebox/graph.h"

enum table_kind {
    TABLE_NODES,
    TABLE_CONNECTIONS,
    TABLE_INITIALS,
    TABLE_INPORTS,
    TABLE_OUTPORTS,
    TABLE_GROUPS,
    TABLE_COUNT
};

/* One allocation, with all its texts behind it. */
struct record {
    union {
        struct gbx_graph_node node;
        struct gbx_graph_connection connection;
        struct gbx_graph_initial initial;
        struct gbx_graph_port port;
        struct gbx_graph_group group;
    } is;         /* first: who has the one has the other */
    json_t *json; /* borrowed from the document */
    uint64_t hash;
    size_t index; /* which one of its table */
};

struct table {
    struct record **records; /* owned */
    size_t count, room;
    struct record **slots; /* by hash; of one name only the first is there */
    size_t slot_count;     /* a power of two, or 0 */
};

struct gbx_graph {
    json_t *root; /* owned */
    struct table tables[TABLE_COUNT];
    uint64_t key[2]; /* of the hash */
    bool is_case_sensitive;
    size_t camel, snake; /* members that were spelled so */
    size_t bare_edges;   /* which lack what Reflow demands */
};

/* Those whose name has two spellings. */
enum member {
    MEMBER_CASE_SENSITIVE,
    MEMBER_PORT_NAME,
    MEMBER_PORT_ID,
    MEMBER_NODE_ID,
    MEMBER_PORT_TYPE,
    MEMBER_SCRIPT_RUNTIME,
};

/* As this graph spells it. */
const char *graph_spelling(const struct gbx_graph *graph, enum member member);

/* Without a document; NULL without memory. */
struct gbx_graph *graph_new(void);

/* The tables of a document.  Returns 0, or GBX_EFORMAT, GBX_ELIMIT or
 * GBX_EHOST; then some of them are there. */
int graph_read(struct gbx_graph *graph, const char *name,
               struct gbx_error *err);

/* One value that is in the document, as the last of its table. */
int graph_read_node(struct gbx_graph *graph, const char *key, json_t *value,
                    const char *name, struct gbx_error *err);
int graph_read_connection(struct gbx_graph *graph, size_t i, json_t *value,
                          const char *name, struct gbx_error *err);
int graph_read_port(struct gbx_graph *graph, enum table_kind kind,
                    const char *key, json_t *value, const char *name,
                    struct gbx_error *err);
int graph_read_group(struct gbx_graph *graph, size_t i, json_t *value,
                     const char *name, struct gbx_error *err);

/* ---- record.c ---- */

#define RECORD_TEXTS_MAX 8

/* What a record will hold: its texts, in the order of its struct. */
struct draft {
    const char *texts[RECORD_TEXTS_MAX]; /* borrowed; NULL stays NULL */
    char *made[RECORD_TEXTS_MAX];        /* owned: some of them */
    const json_t *list;                  /* of a group: its nodes */
    bool failed;                         /* no memory, at some time */
};

/* texts[i] is this value's JSON, or NULL for none. */
void draft_json(struct draft *draft, size_t i, const json_t *value);
void draft_fini(struct draft *draft);

/* A record of the first `count` texts, the last of its table. Returns 0,
 * GBX_ELIMIT or GBX_EHOST. */
int record_add(struct gbx_graph *graph, enum table_kind kind,
               const struct draft *draft, size_t count, json_t *json,
               struct gbx_error *err);

/* The first that is called the same, maybe itself. */
struct record *record_first(const struct gbx_graph *graph, enum table_kind kind,
                            const struct record *record);
struct record *record_find(const struct gbx_graph *graph, enum table_kind kind,
                           const char *name);
struct record *record_find_connection(const struct gbx_graph *graph,
                                      const char *from_node,
                                      const char *from_port,
                                      const char *to_node, const char *to_port);
void table_fini(struct table *table);

/* ---- write.c ---- */

/* Compact, for free(); NULL without memory. */
char *graph_json(const json_t *value);

/* ---- type.c ---- */

/* Is it a portType? */
bool type_is_valid(const json_t *type);

/* Both valid, or NULL: any. */
bool type_fits(const json_t *from, const json_t *to);

/* May a message of this plain value come to such a port? */
bool type_takes(const json_t *type, const json_t *data);

/* "array of integer", for people. */
const char *type_name(char text[64], const json_t *type);

#endif
