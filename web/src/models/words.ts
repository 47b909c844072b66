/** Pure helpers for texts: times, initials, links, errors. */

import { ApiError, type Mention, Offline, OutboxFull, PayloadTooLarge } from "@iris-im/sdk";
import { hasText, locale, t } from "../i18n/index.js";

const DAY_MS = 86_400_000;
const COLOURS = 8;
const formats = new Map<string, Intl.DateTimeFormat>();

function format(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = locale.value + JSON.stringify(options);
  let found = formats.get(key);
  if (found === undefined) {
    found = new Intl.DateTimeFormat(locale.value, options);
    formats.set(key, found);
  }
  return found;
}

/** Midnight before a time, in this machine's time zone. */
export function dayOf(at: number): number {
  const day = new Date(at);
  day.setHours(0, 0, 0, 0);
  return day.getTime();
}

/** 14:05 */
export function clock(at: number): string {
  return format({ hour: "2-digit", minute: "2-digit" }).format(at);
}

/** 4:05, of a number of seconds. */
export function countdown(seconds: number): string {
  const two = new Intl.NumberFormat(locale.value, { minimumIntegerDigits: 2 });
  return `${new Intl.NumberFormat(locale.value).format(Math.floor(seconds / 60))}:${two.format(seconds % 60)}`;
}

/** Today, Yesterday, Tuesday, 3 March, 3 March 2020. */
export function dayName(at: number, now: number): string {
  const days = Math.round((dayOf(now) - dayOf(at)) / DAY_MS);
  if (days === 0) return t("chat.today");
  if (days === 1) return t("chat.yesterday");
  if (days > 1 && days < 7) return format({ weekday: "long" }).format(at);
  const thisYear = new Date(at).getFullYear() === new Date(now).getFullYear();
  return format({ day: "numeric", month: "long", ...(thisYear ? {} : { year: "numeric" }) }).format(at);
}

/** As short as a line of the list allows: a time today, else the day. */
export function shortTime(at: number, now: number): string {
  const days = Math.round((dayOf(now) - dayOf(at)) / DAY_MS);
  if (days <= 0) return clock(at);
  if (days === 1) return t("chat.yesterday");
  if (days < 7) return format({ weekday: "short" }).format(at);
  return format({ day: "2-digit", month: "2-digit", year: "2-digit" }).format(at);
}

/** today at 14:05 */
export function longTime(at: number, now: number): string {
  if (now - at < 60_000) return t("time.now");
  return t("time.at", { day: dayName(at, now), time: clock(at) });
}

const segmenter = new Intl.Segmenter();

/** One or two letters for an avatar. */
export function initials(name: string): string {
  const words = name
    .replace(/^@/, "")
    .split(/[\s._-]+/u)
    .filter((word) => /[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(word));
  const first = (word: string | undefined) =>
    word ? (segmenter.segment(word)[Symbol.iterator]().next().value?.segment ?? "") : "";
  const letters = words.length > 1 ? first(words[0]) + first(words.at(-1)) : first(words[0]);
  return letters.toLocaleUpperCase() || "?";
}

/** Which of the avatar colours somebody has: the same everywhere and for ever. */
export function colourOf(id: string): number {
  let sum = 0;
  for (const letter of id) sum = (Math.imul(sum, 31) + letter.charCodeAt(0)) >>> 0;
  return sum % COLOURS;
}

/** A part of a text: as it is, a link, or somebody's name. */
export interface Part {
  readonly text: string;
  readonly link?: string;
  readonly user?: string;
}

const LINK = /\bhttps?:\/\/[^\s<>"“”]+|\bwww\.[^\s<>"“”]+\.[^\s<>"“”]+/giu;
const TRAIL = /[.,:;!?'"»”’…]+$/u;

/** The links and mentions of a text, and what is between them. */
export function parts(text: string, mentions: readonly Mention[] = []): Part[] {
  const found: Part[] = [];
  let end = 0;
  for (const { start, length, user } of mentions) {
    found.push(...linked(text.slice(end, start)), { text: text.slice(start, start + length), user });
    end = start + length;
  }
  found.push(...linked(text.slice(end)));
  return found;
}

/** Finds the links of a text. Only http and https become links. */
function linked(text: string): Part[] {
  const found: Part[] = [];
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    let shown = match[0].replace(TRAIL, "");
    // A closing bracket belongs to the sentence unless it was opened inside.
    while (shown.endsWith(")") && shown.split("(").length < shown.split(")").length) shown = shown.slice(0, -1);
    const link = shown.startsWith("www.") || shown.startsWith("WWW.") ? `https://${shown}` : shown;
    if (!URL.canParse(link)) continue;
    if (match.index > end) found.push({ text: text.slice(end, match.index) });
    found.push({ text: shown, link });
    end = match.index + shown.length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}

const JUMBO_MAX = 3;

/** Whether a text is one to three emoji and nothing else: it is shown large. */
export function isJumbo(text: string): boolean {
  const trimmed = text.trim();
  if (trimmed === "" || trimmed.length > 40) return false;
  const letters = [...segmenter.segment(trimmed)].map((one) => one.segment);
  return letters.length <= JUMBO_MAX && letters.every((one) => /^\p{Emoji}/u.test(one) && !/^[\d#*]$/u.test(one));
}

/** The text of a letter-blind search. */
export function folded(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLocaleLowerCase();
}

/** What to tell the user of an error. */
export function errorText(error: unknown): string {
  if (error instanceof Offline) return t("error.OFFLINE");
  if (error instanceof OutboxFull) return t("error.OUTBOX_FULL");
  if (error instanceof PayloadTooLarge) return t("error.TOO_LONG");
  if (error instanceof ApiError) {
    const field = error.fields[0]?.field;
    if (error.name === "INVALID_REQUEST" && field === "handle") return t("error.HANDLE_INVALID");
    if (error.name === "INVALID_REQUEST" && field !== undefined && /password/.test(field))
      return t("error.PASSWORD_SHORT");
    const key = `error.${error.name}`;
    return hasText(key) ? t(key, { code: error.name }) : t("error.OTHER", { code: error.name });
  }
  return t("error.OTHER", { code: error instanceof Error ? error.message : String(error) });
}

/** Why a message was refused. */
export function refusalText(code: string): string {
  const key = `error.${code}`;
  return hasText(key) ? t(key, { code }) : t("error.REFUSED", { code });
}
