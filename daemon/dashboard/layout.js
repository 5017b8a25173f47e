/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the nodes of a graph stand: in layers from left to right, so that
 * messages go to the right, but for those that go back.
 *
 *   vertices: [{id, width, height}]    edges: [{from, to}]
 *
 *   1. edges that close a circle go back (Tarjan's order of leaving)
 *   2. a vertex stands one layer behind the last that sends to it
 *   3. an edge over several layers gets a bend in each
 *   4. a layer is ordered by where its neighbours stand, back and forth
 *   5. and so are the heights, without overlaps
 */
const GAP_X = 60;
const GAP_Y = 22;
const MARGIN = 18;
const LOOP = 34; /* how far what goes back stands out */
const ROUNDS = 6;
const BENDS_MAX = 3000;

/* Which edges go back.  Without recursion: a graph may be a long row. */
function findBack(vertices, edges) {
  const out = new Map(vertices.map((vertex) => [vertex.id, []]));
  edges.forEach((edge, index) => out.get(edge.from).push(index));
  const state = new Map();
  const back = new Set();
  for (const { id } of vertices) {
    if (state.has(id)) continue;
    const path = [{ id, next: 0 }];
    state.set(id, 'open');
    while (path.length > 0) {
      const top = path[path.length - 1];
      const index = out.get(top.id)[top.next];
      top.next += 1;
      if (index === undefined) {
        state.set(top.id, 'done');
        path.pop();
        continue;
      }
      const { to } = edges[index];
      if (state.get(to) === 'open') back.add(index);
      if (state.has(to)) continue;
      state.set(to, 'open');
      path.push({ id: to, next: 0 });
    }
  }
  return back;
}

function findLayers(vertices, edges, back) {
  const layer = new Map(vertices.map((vertex) => [vertex.id, 0]));
  const waits = new Map(vertices.map((vertex) => [vertex.id, 0]));
  const out = new Map(vertices.map((vertex) => [vertex.id, []]));
  edges.forEach((edge, index) => {
    if (back.has(index)) return;
    out.get(edge.from).push(edge.to);
    waits.set(edge.to, waits.get(edge.to) + 1);
  });
  const ready = vertices.map((vertex) => vertex.id).filter((id) => waits.get(id) === 0);
  while (ready.length > 0) {
    const id = ready.shift();
    for (const to of out.get(id)) {
      layer.set(to, Math.max(layer.get(to), layer.get(id) + 1));
      waits.set(to, waits.get(to) - 1);
      if (waits.get(to) === 0) ready.push(to);
    }
  }
  return layer;
}

/* Rows of places, and for each edge that goes on the places it passes. */
function bend(vertices, edges, back, layer) {
  const rows = [];
  const places = new Map();
  const put = (place, at) => {
    (rows[at] ??= []).push(place);
    return place;
  };
  for (const vertex of vertices) {
    const at = layer.get(vertex.id);
    places.set(vertex.id, put({ ...vertex, layer: at, y: 0, left: [], right: [] }, at));
  }
  let bends = 0;
  const passes = edges.map((edge, index) => {
    const [first, last] = [places.get(edge.from), places.get(edge.to)];
    if (back.has(index)) return [first, last];
    const row = [first];
    for (let at = first.layer + 1; at < last.layer && bends < BENDS_MAX; at += 1) {
      bends += 1;
      row.push(put({ width: 0, height: 6, layer: at, y: 0, left: [], right: [] }, at));
    }
    row.push(last);
    for (let i = 1; i < row.length; i += 1) {
      row[i - 1].right.push(row[i]);
      row[i].left.push(row[i - 1]);
    }
    return row;
  });
  return { rows: rows.map((row) => row ?? []), places, passes };
}

const middle = (place) => place.y + place.height / 2;
const mean = (numbers) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

function order(rows, side) {
  const turned = side === 'left' ? rows : [...rows].reverse();
  for (const row of turned) {
    row.forEach((place, index) => {
      place.key = place[side].length > 0 ? mean(place[side].map((one) => one.at)) : index;
    });
    row.sort((a, b) => a.key - b.key);
    row.forEach((place, index) => { place.at = index; });
  }
}

function level(rows, side) {
  const turned = side === 'left' ? rows : [...rows].reverse();
  for (const row of turned) {
    let least = -Infinity;
    let off = 0;
    for (const place of row) {
      const wanted = place[side].length > 0
        ? mean(place[side].map(middle)) - place.height / 2 : place.y;
      place.y = Math.max(wanted, least);
      off += wanted - place.y;
      least = place.y + place.height + GAP_Y;
    }
    for (const place of row) place.y += off / row.length;
  }
}

function stack(rows) {
  for (const row of rows) {
    let y = 0;
    for (const place of row) {
      place.y = y;
      y += place.height + GAP_Y;
    }
    for (const place of row) place.y -= y / 2;
  }
}

function setColumns(rows, margin) {
  let x = margin;
  for (const row of rows) {
    const width = Math.max(...row.map((place) => place.width), 0);
    for (const place of row) {
      place.x = x + (width - place.width) / 2;
      if (place.width === 0) place.x = x; /* a bend: over the whole column */
      place.over = place.width === 0 ? width : 0;
    }
    x += width + GAP_X;
  }
  return x - GAP_X + margin;
}

function curve(row) {
  const [first] = row;
  let x = first.x + first.width;
  let y = middle(first);
  let path = `M${x},${y}`;
  for (const place of row.slice(1)) {
    const half = (place.x - x) / 2;
    path += `C${x + half},${y},${place.x - half},${middle(place)},${place.x},${middle(place)}`;
    x = place.x + place.over;
    y = middle(place);
    if (place.over > 0) path += `H${x}`;
  }
  return path;
}

/* From right to left, below. */
function curveBack(first, last, below) {
  const [x, y] = [first.x + first.width, middle(first)];
  const [toX, toY] = [last.x, middle(last)];
  return `M${x},${y}C${x + LOOP},${y},${x + LOOP},${below},${x},${below}`
    + `H${toX}C${toX - LOOP},${below},${toX - LOOP},${toY},${toX},${toY}`;
}

/* {width, height, places: by id {x, y, layer}, paths: of each edge} */
export function layout(vertices, edges) {
  const back = findBack(vertices, edges);
  const layer = findLayers(vertices, edges, back);
  const { rows, places, passes } = bend(vertices, edges, back, layer);
  rows.forEach((row) => row.forEach((place, index) => { place.at = index; }));
  for (let i = 0; i < ROUNDS; i += 1) order(rows, i % 2 === 0 ? 'left' : 'right');
  stack(rows);
  for (let i = 0; i < ROUNDS; i += 1) level(rows, i % 2 === 0 ? 'left' : 'right');
  const all = rows.flat();
  const top = Math.min(...all.map((place) => place.y), 0);
  for (const place of all) place.y = Math.round(place.y - top + MARGIN);
  const width = setColumns(rows, back.size > 0 ? MARGIN + LOOP : MARGIN);
  let bottom = Math.max(...all.map((place) => place.y + place.height), 0);
  const paths = passes.map((row, index) => {
    const [first, last] = row;
    if (!back.has(index)) return curve(row);
    if (first === last) return curveBack(first, last, first.y + first.height + GAP_Y / 2);
    bottom += MARGIN;
    return curveBack(first, last, bottom);
  });
  return { width, height: bottom + MARGIN, places, paths };
}
