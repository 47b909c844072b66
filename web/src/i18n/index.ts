/** Texts in the chosen language. `t` reads a signal, so whatever shows a text is drawn anew when the language changes. */

import { computed, signal } from "@preact/signals-core";
import { ar } from "./ar.js";
import { type Catalogue, type Entry, en, type Key } from "./en.js";

export type { Key } from "./en.js";

/** Each language under its own name. */
export const LANGUAGES = {
  en: { name: "English", dir: "ltr", texts: en as Catalogue },
  ar: { name: "العربية", dir: "rtl", texts: ar },
} as const;
export type Language = keyof typeof LANGUAGES;

export const language = signal<Language>("en");
/** The languages of the browser, best first: they say how times and numbers are written (24 hours or 12). */
export const wanted = signal<readonly string[]>([]);
export const locale = computed(
  () => wanted.value.find((tag) => tag.toLowerCase().split("-")[0] === language.value) ?? language.value,
);
export const direction = computed(() => LANGUAGES[language.value].dir);
const rules = computed(() => new Intl.PluralRules(language.value));
const numbers = computed(() => new Intl.NumberFormat(locale.value));

export function isLanguage(value: unknown): value is Language {
  return typeof value === "string" && Object.hasOwn(LANGUAGES, value);
}

/** The first of the wanted languages (as a browser lists them) that there is. */
export function bestLanguage(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    const base = tag.toLowerCase().split("-")[0];
    if (isLanguage(base)) return base;
  }
  return "en";
}

/** The text of a key with its `{parameters}`; a plural goes by `n`. */
export function t(key: Key, given: Readonly<Record<string, string | number>> = {}): string {
  const entry = LANGUAGES[language.value].texts[key];
  return fill(typeof entry === "string" ? entry : plural(entry, Number(given.n ?? 0)), given);
}

/** A number as this language writes it. */
export function number(value: number): string {
  return numbers.value.format(value);
}

/** Whether there is a text of this name. */
export function hasText(key: string): key is Key {
  return Object.hasOwn(en, key);
}

function plural(entry: Exclude<Entry, string>, n: number): string {
  return entry[rules.value.select(n)] ?? entry.other ?? "";
}

function fill(text: string, given: Readonly<Record<string, string | number>>): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = given[name];
    return value === undefined ? whole : typeof value === "number" ? number(value) : value;
  });
}
