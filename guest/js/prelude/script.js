// SPDX-License-Identifier: Apache-2.0
// A script's life: run once, its handler found, called for every call.
import { marked } from "./actor.js";
import { ActorContext } from "./context.js";
import { report } from "./errors.js";
import { Message } from "./message.js";
import { hasModuleSyntax, main, own, requireFrom, setMain,
         wrapped } from "./modules.js";
import { native } from "./native.js";

// JS_Eval's flags
const GLOBAL = 0, MODULE = 1;

let handler, config = {}, actorId = "", onlyOutport = "output";
let payload = {}, types = {};

// ---- running it ----

// Functions that are declared and not exported are handlers as well: these are
// looked for by name, in the script's own scope.
const SOUGHT = ["processData", "process", "run", "metadata", "actorMetadata",
                "__actor_metadata__"];
const found = "{" + SOUGHT.map(name =>
    `${name}: typeof ${name} !== "undefined" && ${name} !== globalThis.${name}`
    + ` ? ${name} : undefined`).join(", ") + "}";

// A function of the file's text, which has not run yet.
const compile = text =>
    native.run(wrapped(text, `;return ${found};`), main.file, GLOBAL);

function runCommon(run) {
    const module = { exports: {}, id: ".", filename: main.path, loaded: false };
    const require = requireFrom(main.path);
    require.main = module;
    const names = run.call(module.exports, module.exports, require, module,
                           main.path, "/script");
    return { exports: module.exports, names: names ?? {} };
}

async function runModule(text) {
    main.isModule = true; // and has run, for whoever imports it
    const space = await native.run(
        `${text}\n;export const __glovebox__ = ${found};`, main.file, MODULE);
    const { default: exported, __glovebox__: names, ...rest } = space;
    return { exports: exported ?? rest, names, rest };
}

async function run(file, text) {
    setMain(file, text);
    for (const [name, value] of Object.entries(own))
        globalThis[name] = value;
    if (file.endsWith(".cjs"))
        return runCommon(compile(text));
    if (file.endsWith(".mjs") || hasModuleSyntax(text))
        return runModule(text);
    let compiled;
    try {
        compiled = compile(text);
    } catch (error) {
        if (/\bawait\b/.test(text)) // at the top level, perhaps
            return runModule(text);
        throw error;
    }
    return runCommon(compiled);
}

// ---- finding the handler ----

const isClass = value => typeof value === "function"
    && /^class\b/.test(Function.prototype.toString.call(value));
const hasRun = value => typeof value === "object" && value !== null
    && typeof value.run === "function";

function choose(wanted) {
    if (marked.length === 1)
        return marked[0];
    const named = marked.find(({ handler: one, metadata }) =>
        wanted && [metadata.component, metadata.name, one.name].includes(wanted));
    if (named)
        return named;
    const names = marked.map(({ handler: one, metadata }) =>
        metadata.component ?? metadata.name ?? one.name).join(", ");
    throw new Error(`several actors in it: ${names}; name the one you mean as `
        + "actor id");
}

function find({ exports, names, rest = {} }, wanted) {
    const said = names.__actor_metadata__ ?? names.actorMetadata ?? names.metadata
        ?? rest.metadata ?? exports?.metadata ?? exports?.__actor_metadata__ ?? {};
    if (marked.length > 0) {
        const { handler: one, metadata } = choose(wanted);
        return { one, metadata: Object.keys(metadata).length > 0 ? metadata : said };
    }
    for (const one of [exports, exports?.default, exports?.processData,
                       exports?.process, exports?.run, rest.processData,
                       rest.process, rest.run, names.processData, names.process,
                       names.run])
        if (typeof one === "function" || hasRun(one))
            return { one, metadata: one.__actor_metadata__ ?? one.metadata ?? said };
    const exported = Object.values(typeof exports === "object" ? exports ?? {} : {})
        .filter(value => typeof value === "function");
    if (exported.length === 1)
        return { one: exported[0], metadata: said };
    throw new Error("no actor function in it: looked for actor({...}, fn), for "
        + "what the file exports (a function, a class with run(context)), and for "
        + "a function called processData or process");
}

// A class is made once; its run is the handler, its fields are metadata.
function settle({ one, metadata }) {
    if (!isClass(one) && !hasRun(one))
        return { call: one, metadata, name: one.name };
    const made = isClass(one) ? new one() : one;
    if (typeof made.run !== "function")
        throw new TypeError(`class ${one.name} has no method run(context)`);
    const known = { ...metadata };
    for (const key of ["component", "description", "inports", "outports"])
        known[key] ??= made[key] ?? one[key];
    return { call: context => made.run(context), metadata: known,
             name: isClass(one) ? one.name : made.constructor?.name };
}

// ---- what it says of itself ----

function ports(metadata, key) {
    const listed = metadata[key] ?? [];
    const names = (Array.isArray(listed) ? listed : Object.keys(listed)).map(port =>
        typeof port === "object" && port !== null ? port.name ?? port.id : port);
    for (const name of names)
        if (typeof name !== "string" || name === "" || name.length > 255)
            throw new TypeError(`${key}: ${String(name)} is no name of a port`);
    return names;
}

function describe(metadata, name) {
    const about = {
        component: String(metadata.component ?? metadata.name ?? (name || main.file)),
        description: String(metadata.description ?? "").trim().split("\n")[0],
        inports: ports(metadata, "inports"),
        outports: ports(metadata, "outports"),
        await_all_inports: Boolean(metadata.await_all_inports
            ?? metadata.awaitAllInports),
    };
    for (const [key, value] of Object.entries(metadata))
        if (!(key in about)) {
            const text = JSON.stringify(value);
            if (text !== undefined && text.length < 4096)
                about[key] = JSON.parse(text);
        }
    return about;
}

// JSDoc of the original wrapper: @component, @description.
function fromComments(text) {
    const known = {};
    for (const [, key, value] of text.matchAll(
        /^\s*(?:\/\/|\/?\*+)\s*@(component|description)\s+(.+?)\s*(?:\*\/)?$/gm))
        known[key] ??= value;
    return known;
}

export async function load({ file, source, config: given, actor_id }) {
    marked.length = 0;
    const made = settle(find(await run(file, source), actor_id));
    const about = describe({ ...fromComments(source), ...made.metadata }, made.name);
    handler = made.call;
    config = given;
    actorId = actor_id || about.component;
    onlyOutport = about.outports.length === 1 ? about.outports[0] : "output";
    return about;
}

// ---- calls ----

export function input(port, value, type) {
    payload[port] = value;
    types[port] = type;
}

// As it is before a script can change it.  A plain promise is left alone: to
// resolve() with it would ask it for what the script may have changed.
const resolved = Promise.resolve.bind(Promise), promises = Promise.prototype;

function settled(answer) {
    return typeof answer === "object" && answer !== null
        && getPrototypeOf(answer) !== promises && typeof answer.then === "function"
        ? resolved(answer) : answer;
}

// With the last input, if there is one.
export function call(port, value, type) {
    if (port !== undefined)
        input(port, value, type);
    const context = new ActorContext(payload, types, config, actorId);
    payload = Object.create(null);
    types = Object.create(null);
    return settled(handler(context));
}

const { getPrototypeOf, keys, prototype: plain } = Object;

function isPlain(value) {
    if (typeof value !== "object" || value === null)
        return false;
    const prototype = getPrototypeOf(value);
    return prototype === plain || prototype === null;
}

export function finish(answer) {
    if (!isPlain(answer))
        return answer === undefined || answer === null ? native.done()
            : last(onlyOutport, answer);
    const ports = keys(answer);
    if (ports.length === 1)
        return last(ports[0], answer[ports[0]]);
    const values = ports.map(port => answer[port]);
    const types = values.map(Message.typeOf);
    return native.answer(ports, values.map((value, index) =>
        types[index] < 0 ? value : value.value), types);
}

function last(port, value) {
    const type = Message.typeOf(value);
    return native.last(port, type < 0 ? value : value.value, type);
}

export const explain = error => report(error);
