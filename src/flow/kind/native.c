/* SPDX-License-Identifier: Apache-2.0 */
/* native.c - an actor written in C, of a type that the embedder gave. */
#include "base/error.h"
#include "flow/run.h"
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

/* Code in C looks twice: what a script may still change, it gets as a copy. */
static int settle_inputs(struct gbx_actor *actor)
{
    int rc = 0;

    for (uint32_t i = 0; i < actor->input_count && rc >= 0; i++) {
        rc = packet_settle(&actor->inputs[i]);
        if (rc > 0)
            flow_node_count(&actor->node->counts.copied_bytes,
                            actor->inputs[i].message.body_bytes);
    }
    return rc < 0 ? rc : 0;
}

static int native_run(struct flow_node *node, struct gbx_actor *actor)
{
    int rc = settle_inputs(actor);

    if (rc < 0)
        return rc;
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
