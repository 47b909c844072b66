/** A list of rows of known heights, of which only those in sight are in the page: thousands cost as much as twenty. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

const SPARE = 6; // rows above and below the sight

interface Props<T> {
  readonly rows: readonly T[];
  readonly label: string;
  /** Height of a row in rem, so that larger letters get larger rows. */
  readonly heightOf: (row: T) => number;
  readonly keyOf: (row: T) => string;
  /** `stop`: the one row that Tab reaches; the arrow keys move from there. */
  readonly render: (row: T, stop: boolean) => ComponentChildren;
  readonly before?: ComponentChildren;
}

export function VirtualList<T>({ rows, label, heightOf, keyOf, render, before }: Props<T>) {
  const box = useRef<HTMLDivElement>(null);
  const [stop, setStop] = useState(0);
  const [range, setRange] = useState<readonly [number, number]>([0, 30]);
  const tops = useMemo(() => {
    const found = [0];
    for (const row of rows) found.push((found.at(-1) ?? 0) + heightOf(row));
    return found;
  }, [rows, heightOf]);
  const look = () => {
    const shown = box.current;
    if (shown === null) return;
    const [from, to] = [shown.scrollTop / rem(), (shown.scrollTop + shown.clientHeight) / rem()];
    const first = Math.max(0, tops.findIndex((top) => top > from) - 1 - SPARE);
    const after = tops.findIndex((top) => top > to);
    const last = (after < 0 ? tops.length : after) + SPARE;
    setRange((was) => (was[0] === first && was[1] === last ? was : [first, last]));
  };
  useLayoutEffect(() => {
    look();
    const watcher = new ResizeObserver(look);
    if (box.current !== null) watcher.observe(box.current);
    return () => watcher.disconnect();
  }, [tops]);
  const move = (event: KeyboardEvent) => {
    const here = (event.target as HTMLElement).closest<HTMLElement>("[data-row]");
    if (here === null || event.altKey) return;
    const at = Number(here.dataset.row);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (next === undefined || next < 0 || next >= rows.length) return;
    event.preventDefault();
    setStop(next);
    focusRow(box.current, next, (tops[next] ?? 0) * rem(), (tops[next + 1] ?? 0) * rem());
  };
  const focused = (event: FocusEvent) => {
    const here = (event.target as HTMLElement).closest<HTMLElement>("[data-row]");
    if (here !== null) setStop(Number(here.dataset.row));
  };
  const [first, last] = range;
  const shown = rows.slice(first, last);
  const reached = Math.max(first, Math.min(stop, first + shown.length - 1));
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the arrow keys move among the buttons inside
    <div ref={box} class="scroller" onScroll={look} onKeyDown={move} onFocusIn={focused}>
      {before}
      <ul class="virtual" aria-label={label} style={{ height: `${tops.at(-1) ?? 0}rem` }}>
        {shown.map((row, n) => (
          <li
            key={keyOf(row)}
            data-row={first + n}
            aria-setsize={rows.length}
            aria-posinset={first + n + 1}
            style={{ transform: `translateY(${tops[first + n] ?? 0}rem)`, height: `${heightOf(row)}rem` }}
          >
            {render(row, first + n === reached)}
          </li>
        ))}
      </ul>
    </div>
  );
}

function rem(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}

/** Brings a row into sight and puts the focus on its first button. */
function focusRow(box: HTMLElement | null, row: number, top: number, bottom: number): void {
  if (box === null) return;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (bottom > box.scrollTop + box.clientHeight) box.scrollTop = bottom - box.clientHeight;
  requestAnimationFrame(() => box.querySelector<HTMLElement>(`[data-row="${row}"] button`)?.focus());
}
