/* SPDX-License-Identifier: Apache-2.0 */
/* native.c - an actor written in C, of a type that the embedder gave. */
#include "base/error.h"
#include "flow/flow.h"
#include "store/file.h"

static const char *native_isolation(const struct flow_node *node)
{
    (void)node;
    return "native";
}

static int native_open(struct flow_node *node, struct gbx_error *err)
{
    const struct gbx_actor_type *type = node->type;
    const struct gbx_actor_config config = {.node = node->id,
                                            .config_json = node->metadata,
                                            .context = type->context,
                                            .folder = node->flow->folder};

    int rc = 0;

    if (node->keeps) {
        node->memory = node_state_make();
        rc = node->memory == NULL
                 ? fail(err, GBX_EHOST, "no memory for node %s", node->id)
                 : file_attach(node->flow->state, &node->memory->store,
                               node->id, err);
    }
    if (rc == 0 && type->open != NULL)
        rc = type->open(&node->self, &config, err);
    node->is_open = rc == 0;
    return rc;
}

static int native_run(struct flow_node *node, struct gbx_actor *actor)
{
    return node->type->run(node->self, actor);
}

static void native_close(struct flow_node *node)
{
    if (node->is_open && node->type->close != NULL)
        node->type->close(node->self);
}

const struct actor_kind kind_native = {
    .isolation = native_isolation,
    .open = native_open,
    .run = native_run,
    .close = native_close,
    .batch = NODE_BATCH,
};
