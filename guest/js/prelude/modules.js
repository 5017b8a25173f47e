// SPDX-License-Identifier: Apache-2.0
// import and require: builtin names, and files of the script's folder, found as
// Node finds them (relative paths, .js .cjs .mjs .json, index.js,
// node_modules with package.json).
import { actor, atCopy } from "./actor.js";
import { ActorContext } from "./context.js";
import { HostError, setUnwrap } from "./errors.js";
import { Message } from "./message.js";
import { native } from "./native.js";

const FOLDER = "/script";
const SHARED = Symbol.for("glovebox.require");

// What a script may use: global, and to be imported.
export const own = { actor, atCopy, ActorContext, Message, HostError };
const builtins = new Map([["glovebox", own], ["reflow", own]]);
const loaded = new Map(); // path -> module, of require()
const texts = new Map();  // path -> text, of what was looked at

export const main = { file: "", path: "", text: "", isModule: false };

// The script itself is known, whether its folder is shown or not.
export function setMain(file, text) {
    main.file = file;
    main.path = `${FOLDER}/${file}`;
    main.text = text;
}

function read(path) {
    if (!texts.has(path))
        texts.set(path, native.read(path));
    return texts.get(path);
}

function normalize(path) {
    const parts = [];
    for (const part of path.split("/")) {
        if (part === "..")
            parts.pop();
        else if (part !== "" && part !== ".")
            parts.push(part);
    }
    return "/" + parts.join("/");
}

const folderOf = path => path.slice(0, path.lastIndexOf("/"));
const TAILS = ["", ".js", ".cjs", ".mjs", ".json", "/index.js", "/index.cjs",
               "/index.mjs"];

function findFile(path) {
    for (const tail of TAILS)
        if (read(path + tail) !== undefined)
            return path + tail;
    return undefined;
}

function entryOf(text) {
    const { exports: map, module, main: file } = JSON.parse(text);
    let entry = typeof map === "object" && map !== null && "." in map ? map["."]
        : map;
    while (typeof entry === "object" && entry !== null)
        entry = entry.import ?? entry.require ?? entry.default;
    return entry ?? file ?? module ?? "index.js";
}

function findPackage(name, from) {
    for (let folder = from; ; folder = folderOf(folder)) {
        const base = `${folder}/node_modules/${name}`;
        const text = read(`${base}/package.json`);
        const found = text !== undefined ? findFile(normalize(`${base}/${entryOf(text)}`))
            : findFile(base);
        if (found !== undefined)
            return found;
        if (folder === "")
            return undefined;
    }
}

export function resolve(base, name) {
    const bare = name.replace(/^node:/, "");
    if (builtins.has(bare))
        return bare;
    const importer = base.startsWith("/") ? base
        : `${FOLDER}/${base.startsWith("<") ? main.file : base}`; // "<input>"
    const from = folderOf(importer);
    const found = /^\.{0,2}\//.test(name)
        ? findFile(normalize(name.startsWith("/") ? name : `${from}/${name}`))
        : findPackage(name, from);
    if (found !== undefined)
        return found;
    const error = new Error(`cannot find module '${name}', imported by ${
        nameOf(importer)}`);
    error.code = "MODULE_NOT_FOUND";
    throw error;
}

// ---- require ----

const HEAD = "(function (exports, require, module, __filename, __dirname) {";

export const wrapped = (text, tail = "") => `${HEAD}${text}\n${tail}})`;

// A wrapped file's first line begins behind the head; the engine does not know
// all columns.
setUnwrap(stack => stack.replace(/:1:(\d+)\b/g, (all, column) =>
    column > HEAD.length ? `:1:${column - HEAD.length}` : ":1"));

export function requireFrom(base) {
    const require = name => requirePath(resolve(base, name));
    require.resolve = name => resolve(base, name);
    require.cache = loaded;
    return require;
}

export function requirePath(path) {
    if (builtins.has(path))
        return builtins.get(path);
    if (loaded.has(path))
        return loaded.get(path).exports;
    const module = { exports: {}, id: path, filename: path, loaded: false };
    loaded.set(path, module);
    try {
        if (path.endsWith(".json"))
            module.exports = JSON.parse(read(path));
        else
            native.run(wrapped(read(path)), nameOf(path), 0).call(
                module.exports, module.exports, requireFrom(path), module, path,
                folderOf(path));
    } catch (error) {
        loaded.delete(path);
        throw error;
    }
    module.loaded = true;
    return module.exports;
}

// As errors name a file: without the folder that only the sandbox has.
const nameOf = path => path.startsWith(FOLDER + "/")
    ? path.slice(FOLDER.length + 1) : path;

// ---- import ----

export const hasModuleSyntax = text =>
    /^\s*(import\b\s*[\w{*"']|export\b\s*[\w{*])/m.test(text);

// What is no module becomes one: its exports are the default, and by name.
function asModule(path) {
    const exports = requirePath(path);
    const names = typeof exports === "object" && exports !== null
        ? Object.keys(exports).filter(name => /^[A-Za-z_$][\w$]*$/.test(name)
            && name !== "default") : [];
    return `const m = globalThis[Symbol.for("glovebox.require")](${
        JSON.stringify(path)});\nexport default m;\n`
        + names.map((name, index) =>
            `const v${index} = m.${name}; export { v${index} as ${name} };\n`).join("");
}

// The engine wants a path in any case; what is wrong is told by provide().
const missing = new Map(); // path -> error

export function resolveImport(base, name) {
    try {
        const path = resolve(base, name);
        return path === main.path && main.isModule ? main.file : path;
    } catch (error) {
        const path = `missing:${name}`;
        missing.set(path, error);
        return path;
    }
}

export function provide(path) {
    if (missing.has(path))
        throw missing.get(path);
    if (path === main.path)
        return main.text;
    const text = builtins.has(path) ? undefined : read(path);
    const isModule = text !== undefined && !/\.(cjs|json)$/.test(path)
        && (path.endsWith(".mjs") || hasModuleSyntax(text));
    return isModule ? text : asModule(path);
}

Object.defineProperty(globalThis, SHARED, { value: requirePath });
