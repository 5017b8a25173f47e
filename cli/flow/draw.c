/* SPDX-License-Identifier: Apache-2.0 */
/*
 * draw.c - a layout as characters.
 *
 *  +--------+      A layer of boxes, four rows; then the lines to the next: a
 *  | source |      row for each box that does not only lead straight down, and
 *  | Timer  |      one with the arrows.
 *  +--------+
 *      |           A line is a set of directions in each character's place, so
 *      +-----+     where two meet there is the corner that they make.  Lines of
 *      v     v     different boxes that only cross do not join.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/flow/flow.h"

enum { UP = 1, DOWN = 2, LEFT = 4, RIGHT = 8 };

struct spot {
    uint32_t character; /* if it is one, instead of a line */
    uint8_t lines;
    size_t owner; /* whose horizontal line it is, from 1 */
};

struct canvas {
    struct spot *spots;
    size_t width, height;
};

/* ---- text ---- */

/* The next character; what is none, and what would move the cursor, is "?". */
static uint32_t take(const char **text)
{
    const unsigned char *at = (const unsigned char *)*text;
    unsigned more = at[0] >= 0xf0 ? 3 : at[0] >= 0xe0 ? 2 : at[0] >= 0xc0;
    uint32_t c = more == 0 ? at[0] : at[0] & (0x3fu >> more);

    *text += 1;
    for (unsigned i = 1; i <= more && (at[i] & 0xc0) == 0x80; i++) {
        c = c << 6 | (at[i] & 0x3f);
        *text += 1;
    }
    return c < 0x20 || (c >= 0x7f && c < 0xa0) ? '?' : c;
}

size_t draw_columns(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; count++)
        take(&text);
    return count;
}

static void print_character(uint32_t c, bool is_ascii)
{
    unsigned more = c >= 0x10000 ? 3 : c >= 0x800 ? 2 : c >= 0x80;

    if (more == 0 || is_ascii) {
        putchar(more == 0 ? (int)c : '?');
        return;
    }
    putchar((int)((0xf0u << (3 - more) & 0xf0) | c >> 6 * more));
    while (more-- > 0)
        putchar((int)(0x80 | (c >> 6 * more & 0x3f)));
}

/* ---- lines ---- */

static struct spot *at(const struct canvas *canvas, size_t x, size_t y)
{
    return &canvas->spots[y * canvas->width + x];
}

static void put(const struct canvas *canvas, size_t x, size_t y, uint32_t c)
{
    if (x < canvas->width && y < canvas->height)
        at(canvas, x, y)->character = c;
}

static void put_text(const struct canvas *canvas, size_t x, size_t y,
                     size_t most, const char *text)
{
    size_t columns = draw_columns(text);

    for (size_t i = 0; i < most && *text != '\0'; i++)
        put(canvas, x + i, y,
            i + 1 == most && columns > most ? '~' : take(&text));
}

/* From y to y_end, both included; first and last go on. */
static void put_vertical(const struct canvas *canvas, size_t x, size_t y,
                         size_t y_end)
{
    for (; y <= y_end; y++)
        at(canvas, x, y)->lines |= UP | DOWN;
}

/* ---- boxes ---- */

static const char *const box_corners[] = {"┌┐└┘", "╭╮╰╯"};

static void put_box(const struct canvas *canvas, const struct layout *l,
                    const struct cell *cell, size_t y, bool is_ascii)
{
    const char *corners = box_corners[cell->kind == CELL_PORT];
    uint32_t corner[4];
    size_t right = cell->x + cell->width - 1;

    if (cell->kind == CELL_BEND) {
        put_vertical(canvas, cell->x, y, y + 3);
        return;
    }
    for (int i = 0; i < 4; i++)
        corner[i] = take(&corners);
    for (int i = 0; i < 4 && is_ascii; i++)
        corner[i] = cell->kind == CELL_NODE ? '+' : i < 2 ? '.' : '\'';
    for (size_t x = cell->x + 1; x < right; x++) {
        at(canvas, x, y)->lines = LEFT | RIGHT;
        at(canvas, x, y + 3)->lines = LEFT | RIGHT;
    }
    for (size_t i = 1; i < 3; i++) {
        at(canvas, cell->x, y + i)->lines = UP | DOWN;
        at(canvas, right, y + i)->lines = UP | DOWN;
    }
    put(canvas, cell->x, y, corner[0]);
    put(canvas, right, y, corner[1]);
    put(canvas, cell->x, y + 3, corner[2]);
    put(canvas, right, y + 3, corner[3]);
    put_text(canvas, cell->x + 2, y + 1, l->name_max, cell->name);
    put_text(canvas, cell->x + 2, y + 2, l->name_max, cell->below);
    if (cell->loops)
        put(canvas, right - 2, y + 1, is_ascii ? '@' : 0x21bb);
}

/* ---- what leads from a layer to the next ---- */

static size_t middle(const struct cell *cell)
{
    return cell->x + cell->width / 2;
}

static bool is_straight(const struct layout *l, const struct link *link)
{
    return middle(&l->cells[link->top]) == middle(&l->cells[link->bottom]);
}

/* Does it need a row, to go aside? */
static bool turns(const struct layout *l, size_t cell)
{
    for (size_t i = 0; i < l->link_count; i++)
        if (l->links[i].top == cell && !is_straight(l, &l->links[i]))
            return true;
    return false;
}

/* Must `one` turn above `other`, since a line of the other comes down where
 * one goes out? */
static bool is_first(const struct layout *l, size_t one, size_t other)
{
    for (size_t i = 0; i < l->link_count; i++)
        if (l->links[i].top == other &&
            middle(&l->cells[l->links[i].bottom]) == middle(&l->cells[one]))
            return true;
    return false;
}

/* Those of a layer that turn, in the order of their rows.  Returns how many. */
static size_t order_rows(const struct layout *l, size_t layer, size_t *rows)
{
    size_t count = 0;

    for (size_t k = 0; k < l->cell_count; k++)
        if (l->cells[k].layer == layer && turns(l, k))
            rows[count++] = k;
    for (size_t i = 0; i + 1 < count; i++) {
        size_t best = i;

        for (size_t k = i; k < count; k++) {
            bool waits = false;

            for (size_t m = i; m < count; m++)
                waits |= m != k && is_first(l, rows[m], rows[k]);
            if (!waits) {
                best = k;
                break;
            }
        }
        size_t swap = rows[i];

        rows[i] = rows[best];
        rows[best] = swap;
    }
    return count;
}

static void put_corner(const struct canvas *canvas, size_t x, size_t y,
                       uint8_t lines, size_t owner)
{
    at(canvas, x, y)->lines |= lines;
    at(canvas, x, y)->owner = owner;
}

static void put_horizontal(const struct canvas *canvas, size_t from, size_t to,
                           size_t y, size_t owner)
{
    size_t left = from < to ? from : to, right = from < to ? to : from;

    for (size_t x = left; x <= right; x++) {
        struct spot *spot = at(canvas, x, y);
        uint8_t lines =
            (uint8_t)((x > left ? LEFT : 0) | (x < right ? RIGHT : 0));

        /* A line that comes down from elsewhere is crossed, behind it. */
        if (x != from && x != to && spot->owner != owner &&
            (spot->lines & (UP | DOWN)) != 0)
            continue;
        spot->lines |= lines;
        spot->owner = owner;
    }
}

/* y: the first row below the boxes; rows of turns, then the arrows. */
static void put_links(const struct canvas *canvas, const struct layout *l,
                      size_t layer, size_t y, const size_t *rows, size_t count,
                      bool is_ascii)
{
    for (int round = 0; round < 2; round++) /* what goes down, then aside */
        for (size_t i = 0; i < l->link_count; i++) {
            const struct link *link = &l->links[i];
            const struct cell *top = &l->cells[link->top];
            const struct cell *bottom = &l->cells[link->bottom];
            size_t row = 0;

            if (top->layer != layer)
                continue;
            while (row < count && rows[row] != link->top)
                row++;
            if (is_straight(l, link)) {
                put_vertical(canvas, middle(top), y, y + count);
                continue;
            }
            if (round == 1) {
                put_horizontal(canvas, middle(top), middle(bottom), y + row,
                               link->top + 1);
                continue;
            }
            if (row > 0)
                put_vertical(canvas, middle(top), y, y + row - 1);
            put_corner(canvas, middle(top), y + row, UP, link->top + 1);
            put_corner(canvas, middle(bottom), y + row, DOWN, link->top + 1);
            put_vertical(canvas, middle(bottom), y + row + 1, y + count);
        }
    for (size_t i = 0; i < l->link_count; i++) {
        const struct link *link = &l->links[i];
        const struct cell *top = &l->cells[link->top];
        const struct cell *bottom = &l->cells[link->bottom];

        if (top->layer != layer)
            continue;
        if (link->up && top->kind != CELL_BEND)
            put(canvas, middle(top), y, is_ascii ? '^' : 0x25b2);
        if (!link->up && bottom->kind != CELL_BEND)
            put(canvas, middle(bottom), y + count, is_ascii ? 'v' : 0x25bc);
    }
}

/* ---- all of it ---- */

static void print_canvas(const struct canvas *canvas, bool is_ascii)
{
    static const char ascii[] = " |||-+++-+++-+++";
    static const uint32_t unicode[] = {
        ' ',    0x2502, 0x2502, 0x2502, 0x2500, 0x2518, 0x2510, 0x2524,
        0x2500, 0x2514, 0x250c, 0x251c, 0x2500, 0x2534, 0x252c, 0x253c};

    for (size_t y = 0; y < canvas->height; y++) {
        size_t end = canvas->width;

        while (end > 0 && at(canvas, end - 1, y)->character == 0 &&
               at(canvas, end - 1, y)->lines == 0)
            end--;
        for (size_t x = 0; x < end; x++) {
            const struct spot *spot = at(canvas, x, y);

            if (spot->character != 0)
                print_character(spot->character, is_ascii);
            else if (is_ascii)
                putchar(ascii[spot->lines]);
            else
                print_character(unicode[spot->lines], false);
        }
        putchar('\n');
    }
}

void draw(const struct layout *l, bool is_ascii)
{
    size_t *rows = flow_need(calloc(l->cell_count + 1, sizeof(size_t)));
    struct canvas canvas = {.width = l->width};
    size_t y = 0;

    for (size_t layer = 0; layer < l->layer_count; layer++)
        canvas.height +=
            4 +
            (layer + 1 < l->layer_count ? order_rows(l, layer, rows) + 1 : 0);
    canvas.spots = flow_need(
        calloc(canvas.width * canvas.height + 1, sizeof(struct spot)));
    for (size_t layer = 0; layer < l->layer_count; layer++) {
        size_t count = order_rows(l, layer, rows);

        for (size_t k = 0; k < l->cell_count; k++)
            if (l->cells[k].layer == layer)
                put_box(&canvas, l, &l->cells[k], y, is_ascii);
        if (layer + 1 < l->layer_count)
            put_links(&canvas, l, layer, y + 4, rows, count, is_ascii);
        y += 4 + count + 1;
    }
    print_canvas(&canvas, is_ascii);
    free(canvas.spots);
    free(rows);
}
