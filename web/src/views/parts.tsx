/** Small parts that many views use. */

import type { ComponentChildren, TargetedMouseEvent } from "preact";
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";
import { t } from "../i18n/index.js";
import type { PeopleModel } from "../models/people.js";
import { Icon, type IconName } from "./Icon.js";

export function Avatar({
  people,
  user,
  large = false,
  online = false,
}: {
  people: PeopleModel;
  user: string;
  large?: boolean;
  online?: boolean;
}) {
  const { letters, colour } = people.avatarOf(user);
  return (
    <span class={`avatar colour-${colour}${large ? " large" : ""}`} aria-hidden="true">
      {letters}
      {online && <span class="online-dot" />}
    </span>
  );
}

interface IconButtonProps {
  icon: IconName;
  label: string;
  onClick: (event: TargetedMouseEvent<HTMLButtonElement>) => void;
  mirror?: boolean;
  class?: string;
  disabled?: boolean;
  tabIndex?: number;
  "aria-expanded"?: boolean;
  "aria-pressed"?: boolean;
  "aria-haspopup"?: "menu";
}

/** A button that shows an icon and says what it does. */
export function IconButton({ icon, label, mirror = false, class: extra, ...rest }: IconButtonProps) {
  return (
    <button type="button" title={label} aria-label={label} {...rest} class={`icon-button ${extra ?? ""}`}>
      <Icon name={icon} mirror={mirror} />
    </button>
  );
}

interface FieldProps {
  label: string;
  value: string;
  onText: (text: string) => void;
  hint?: string;
  type?: "text" | "password";
  autoComplete?: string;
  autoFocus?: boolean;
  prefix?: string;
  required?: boolean;
  latin?: boolean;
  children?: ComponentChildren;
}

/** A labelled line of input. */
export function Field({
  label,
  value,
  onText,
  hint,
  type = "text",
  autoComplete,
  autoFocus,
  prefix,
  required,
  latin,
  children,
}: FieldProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (autoFocus) input.current?.focus();
  }, [autoFocus]);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="field-box" dir={latin ? "ltr" : undefined}>
        {prefix && <span aria-hidden="true">{prefix}</span>}
        <input
          id={id}
          ref={input}
          {...(type === "password" ? ({ type: "password" } as const) : ({ type: "text" } as const))}
          value={value}
          dir={latin ? "ltr" : value === "" ? undefined : "auto"}
          required={required ?? false}
          autocomplete={(autoComplete ?? "off") as "off"}
          autocapitalize={latin ? "none" : "sentences"}
          spellcheck={!latin}
          aria-describedby={hint ? `${id}-hint` : undefined}
          onInput={(event) => onText(event.currentTarget.value)}
        />
        {children}
      </div>
      {hint && (
        <p id={`${id}-hint`} class="hint">
          {hint}
        </p>
      )}
    </div>
  );
}

/** A switch with its name and a line that says more. */
export function Switch({
  label,
  text,
  on,
  disabled = false,
  onChange,
}: {
  label: string;
  text?: string;
  on: boolean;
  disabled?: boolean;
  onChange: (on: boolean) => void;
}) {
  return (
    <label class="row switch-row">
      <span class="row-text">
        <span>{label}</span>
        {text && <span class="hint">{text}</span>}
      </span>
      <input
        type="checkbox"
        role="switch"
        aria-checked={on}
        checked={on}
        disabled={disabled}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
    </label>
  );
}

/** One of a few. */
export function Choice<T extends string>({
  legend,
  value,
  options,
  disabled = false,
  onChange,
}: {
  legend: string;
  value: T | undefined;
  options: readonly (readonly [T, string])[];
  disabled?: boolean;
  onChange: (value: T) => void;
}) {
  const name = useId();
  return (
    <fieldset class="choice" disabled={disabled}>
      <legend>{legend}</legend>
      {options.map(([one, label]) => (
        <label key={one} class="row">
          <span class="row-text">{label}</span>
          <input type="radio" name={name} checked={one === value} onChange={() => onChange(one)} />
        </label>
      ))}
    </fieldset>
  );
}

/** A modal dialog: the browser keeps the focus inside and gives it back. */
export function Modal({
  title,
  onClose,
  children,
  small = false,
}: {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  small?: boolean;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the click is on the backdrop; Escape closes by itself
    <dialog
      ref={dialog}
      class={small ? "modal small" : "modal"}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === event.currentTarget) onClose();
      }}
    >
      <div class="modal-box">
        <header>
          <h2 id={id}>{title}</h2>
          <IconButton icon="close" label={t("dialog.close")} onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

export interface MenuItem {
  readonly label: string;
  readonly icon: IconName;
  readonly danger?: boolean;
  readonly action: () => void;
}

/** A menu at a place of the screen. Arrow keys move, Escape and a click elsewhere close it; the focus goes back where it was. */
export function Menu({
  at,
  label,
  items,
  onClose,
  children,
}: {
  at: DOMRect;
  label: string;
  items: readonly MenuItem[];
  onClose: () => void;
  children?: ComponentChildren;
}) {
  const box = useRef<HTMLDivElement>(null);
  const before = useRef<Element | null>(null);
  const close = useRef(onClose); // another one with every change around it, which must not move the focus
  close.current = onClose;
  useLayoutEffect(() => {
    const shown = box.current;
    if (shown === null) return;
    before.current = document.activeElement;
    const { width, height } = shown.getBoundingClientRect();
    const rtl = getComputedStyle(shown).direction === "rtl";
    const wished = rtl ? at.left : at.right - width;
    const left = Math.max(8, Math.min(wished, innerWidth - width - 8));
    const below = at.bottom + 4 + height <= innerHeight - 8;
    shown.style.left = `${left}px`;
    shown.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - height - 4)}px`;
    shown.querySelector<HTMLElement>("button")?.focus({ preventScroll: true });
    const outside = (event: Event) => {
      if (!shown.contains(event.target as Node)) close.current();
    };
    const resized = () => close.current();
    addEventListener("pointerdown", outside, true);
    addEventListener("resize", resized);
    return () => {
      removeEventListener("pointerdown", outside, true);
      removeEventListener("resize", resized);
      if (before.current instanceof HTMLElement && before.current.isConnected)
        before.current.focus({ preventScroll: true });
    };
  }, [at]);
  const move = (event: KeyboardEvent) => {
    const buttons = [...(box.current?.querySelectorAll<HTMLElement>("button") ?? [])];
    const here = buttons.indexOf(document.activeElement as HTMLElement);
    const inRow = document.activeElement?.closest(".menu-row") !== null;
    let next = -1;
    if (event.key === "ArrowDown")
      next = inRow ? buttons.findIndex((one) => one.closest(".menu-row") === null) : (here + 1) % buttons.length;
    else if (event.key === "ArrowUp") next = (here - 1 + buttons.length) % buttons.length;
    else if (inRow && (event.key === "ArrowRight" || event.key === "ArrowLeft")) {
      const forward = (event.key === "ArrowRight") === (getComputedStyle(box.current as Element).direction === "ltr");
      next = (here + (forward ? 1 : -1) + buttons.length) % buttons.length;
    } else if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      event.stopPropagation();
      onClose();
      return;
    } else return;
    event.preventDefault();
    event.stopPropagation();
    buttons[next]?.focus();
  };
  return (
    <div ref={box} class="menu" role="menu" tabIndex={-1} aria-label={label} onKeyDown={move}>
      {children}
      {items.map((item) => (
        <button
          key={item.label}
          type="button"
          role="menuitem"
          class={item.danger ? "menu-item danger" : "menu-item"}
          onClick={() => {
            onClose();
            item.action();
          }}
        >
          <Icon name={item.icon} />
          {item.label}
        </button>
      ))}
    </div>
  );
}

/** What stands where there is nothing yet. */
export function Empty({ title, text, children }: { title: string; text?: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <Flower />
      <h2>{title}</h2>
      {text && <p>{text}</p>}
      {children}
    </div>
  );
}

const PETALS = [0, 60, 120, 180, 240, 300];

/** Our sign. */
export function Flower() {
  return (
    <svg class="flower" viewBox="0 0 512 512" aria-hidden="true" focusable="false">
      <g class="petals">
        {PETALS.map((turn) => (
          <ellipse key={turn} cx="256" cy="146" rx="56" ry="104" transform={`rotate(${turn} 256 256)`} />
        ))}
      </g>
      <circle cx="256" cy="256" r="54" />
    </svg>
  );
}
