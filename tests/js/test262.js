// SPDX-License-Identifier: Apache-2.0
// One test of test262, in a sandbox that has run nothing else: what passed and
// what did not goes to "verdict", more than once if the test goes on.
const { eval: evaluate, Promise: NativePromise } = globalThis;
const { parse } = JSON, { apply } = Reflect;
const { transfer } = ArrayBuffer.prototype;

// What the suite calls its host: as much of it as a sealed script has.
globalThis.$262 = {
    global: globalThis,
    gc() {},
    detachArrayBuffer(buffer) { apply(transfer, buffer, []); },
};

const nameOf = error => {
    try {
        return error.constructor.name;
    } catch {
        return "nothing that has a name";
    }
};

const tell = error => {
    try {
        return `${nameOf(error)}: ${error.message ?? error}`;
    } catch {
        return "something that cannot be told";
    }
};

function judge(error, wanted) {
    if (!wanted)
        return tell(error);
    return nameOf(error) === wanted ? "pass" : `not a ${wanted}, but ${tell(error)}`;
}

async function importIt(path, wanted, say) {
    try {
        await import(path);
    } catch (error) {
        return say(judge(error, wanted));
    }
    return say(wanted ? `no ${wanted}` : "pass");
}

function evaluateIt(text, wanted, say) {
    try {
        evaluate(text);
    } catch (error) {
        return say(judge(error, wanted));
    }
    return say(wanted ? `no ${wanted}` : "pass");
}

module.exports = actor({ name: "test262", inports: ["test"], outports: ["verdict"] },
    context => {
        const { harness, text, path, wanted, isAsync } = parse(context.getInput("test"));
        const say = verdict => context.sendOutputSync("verdict", verdict);
        let end;
        const ended = isAsync ? new NativePromise(resolve => { end = resolve; }) : undefined;
        globalThis.$DONE = error => {
            say(error ? tell(error) : "pass");
            end();
        };
        // Of an asynchronous one only its failure counts now.
        const early = verdict => {
            if (verdict !== "pass")
                globalThis.$DONE({ message: verdict });
        };
        for (const part of harness)
            evaluate(part);
        if (path)
            return importIt(path, wanted, isAsync ? early : say).then(() => ended);
        evaluateIt(text, wanted, isAsync ? early : say);
        return ended;
    });
