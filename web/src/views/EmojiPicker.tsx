/** Our own small set of emoji. One stop for Tab; arrow keys move. */

import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n/index.js";
import { EMOJI } from "../models/emoji.js";

export function EmojiPicker({ onPick, onClose }: { onPick: (emoji: string) => void; onClose: () => void }) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.querySelector<HTMLElement>("button")?.focus(), []);
  const move = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      onClose();
      return;
    }
    const buttons = [...(box.current?.querySelectorAll<HTMLElement>("button") ?? [])];
    const here = buttons.indexOf(document.activeElement as HTMLElement);
    const rtl = box.current !== null && getComputedStyle(box.current).direction === "rtl";
    let next: HTMLElement | undefined;
    if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      next = buttons[here + ((event.key === "ArrowRight") !== rtl ? 1 : -1)];
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      next = vertical(buttons, here, event.key === "ArrowDown" ? 1 : -1);
    } else return;
    event.preventDefault();
    next?.focus();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a group of buttons that is no fieldset
    <div ref={box} class="emoji-picker" role="group" aria-label={t("emoji.title")} onKeyDown={move}>
      {EMOJI.map(({ title, emoji }, section) => (
        <section key={title}>
          <h2>{t(title)}</h2>
          <div class="emoji-grid">
            {emoji.map((one, n) => (
              <button key={one} type="button" tabIndex={section + n === 0 ? 0 : -1} onClick={() => onPick(one)}>
                {one}
              </button>
            ))}
          </div>
        </section>
      ))}
    </div>
  );
}

/** The nearest button of the next row. */
function vertical(buttons: readonly HTMLElement[], here: number, step: 1 | -1): HTMLElement | undefined {
  const from = buttons[here];
  if (from === undefined) return buttons[0];
  let row: number | undefined;
  let best: HTMLElement | undefined;
  for (let n = here + step; n >= 0 && n < buttons.length; n += step) {
    const one = buttons[n];
    if (one === undefined || one.offsetTop === from.offsetTop) continue;
    row ??= one.offsetTop;
    if (one.offsetTop !== row) break;
    if (best === undefined || Math.abs(one.offsetLeft - from.offsetLeft) < Math.abs(best.offsetLeft - from.offsetLeft))
      best = one;
  }
  return best;
}
