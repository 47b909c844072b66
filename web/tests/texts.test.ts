/** Catalogues, times, links, names. */

import { readdirSync, readFileSync } from "node:fs";
import { ApiError, Offline } from "@iris-im/sdk";
import { afterEach, describe, expect, test } from "vitest";
import { ar } from "../src/i18n/ar.js";
import { type Entry, en } from "../src/i18n/en.js";
import { bestLanguage, direction, language, t } from "../src/i18n/index.js";
import { readInvitation } from "../src/models/invitation.js";
import { colourOf, dayName, errorText, initials, isJumbo, parts, shortTime } from "../src/models/words.js";

afterEach(() => {
  language.value = "en";
});

const flat = (entry: Entry) => (typeof entry === "string" ? [entry] : Object.values(entry));
const holes = (text: string) => [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((one) => one[1]))].sort();

describe("catalogues", () => {
  test("Arabic has every text, and none too many", () => {
    expect(Object.keys(ar).sort()).toEqual(Object.keys(en).sort());
    for (const entry of Object.values(ar)) for (const text of flat(entry)) expect(text).not.toBe("");
  });

  test("Arabic plurals have all six forms", () => {
    for (const [key, entry] of Object.entries(en)) {
      if (typeof entry === "string") continue;
      expect(Object.keys(ar[key as keyof typeof en]).sort(), key).toEqual([
        "few",
        "many",
        "one",
        "other",
        "two",
        "zero",
      ]);
    }
  });

  test("translations use the parameters of the source and no others", () => {
    for (const [key, entry] of Object.entries(en)) {
      const known = new Set(flat(entry).flatMap(holes));
      for (const text of flat(ar[key as keyof typeof en]))
        for (const hole of holes(text)) expect([...known], key).toContain(hole);
      if (typeof entry === "string") expect(holes(String(ar[key as keyof typeof en])), key).toEqual(holes(entry));
    }
  });

  test("every text is used, and every key that is used is there", () => {
    const sources = readdirSync(new URL("../src", import.meta.url), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.tsx?$/.test(name) && !name.startsWith("i18n"))
      .map((name) => readFileSync(new URL(`../src/${name}`, import.meta.url), "utf8"))
      .join("\n");
    const named = new Set([...sources.matchAll(/"([a-z]+\.[\w.]+)"/gi)].map((one) => one[1]));
    const byName = /^(error|state)\./; // looked up by a code or a state
    expect(Object.keys(en).filter((key) => !named.has(key) && !byName.test(key))).toEqual([]);
  });

  test("the language follows the browser, and texts their language", () => {
    expect(bestLanguage(["fr-FR", "ar-EG", "en"])).toBe("ar");
    expect(bestLanguage(["fr"])).toBe("en");
    expect(t("chat.unread", { n: 1 })).toBe("1 unread message");
    expect(t("chat.unread", { n: 7 })).toBe("7 unread messages");
    language.value = "ar";
    expect(direction.value).toBe("rtl");
    expect(t("chat.unread", { n: 2 })).toBe("رسالتان غير مقروءتين");
  });
});

describe("times", () => {
  const now = new Date(2026, 10, 28, 15, 0).getTime();
  test("days have names", () => {
    expect(dayName(new Date(2026, 10, 28, 0, 1).getTime(), now)).toBe("Today");
    expect(dayName(new Date(2026, 10, 27, 23, 59).getTime(), now)).toBe("Yesterday");
    expect(dayName(new Date(2026, 10, 24).getTime(), now)).toBe("Tuesday");
    expect(dayName(new Date(2026, 2, 3).getTime(), now)).toContain("March");
    expect(dayName(new Date(2020, 2, 3).getTime(), now)).toContain("2020");
  });
  test("a line of the list has a time or a day", () => {
    expect(shortTime(new Date(2026, 10, 27, 23, 59).getTime(), now)).toBe("Yesterday");
    expect(shortTime(now, now)).toMatch(/3:00|15:00/);
  });
});

describe("texts of people", () => {
  test("links are found, and only http ones", () => {
    const of = (text: string) => parts(text).filter((part) => part.link !== undefined);
    expect(of("see https://example.org/a?b=c.")).toEqual([
      { text: "https://example.org/a?b=c", link: "https://example.org/a?b=c" },
    ]);
    expect(of("(https://example.org/x)")[0]?.text).toBe("https://example.org/x");
    expect(of("https://en.example.org/wiki/A_(b)")[0]?.text).toBe("https://en.example.org/wiki/A_(b)");
    expect(of("www.example.org")[0]?.link).toBe("https://www.example.org");
    expect(of("javascript:alert(1) data:text/html,x file:///etc")).toEqual([]);
    expect(
      parts("a https://x.y b")
        .map((part) => part.text)
        .join(""),
    ).toBe("a https://x.y b");
  });
  test("mentions are parts, and links around them are found", () => {
    expect(parts("hi @bob, see http://a.b", [{ start: 3, length: 4, user: "b" }])).toEqual([
      { text: "hi " },
      { text: "@bob", user: "b" },
      { text: ", see " },
      { text: "http://a.b", link: "http://a.b" },
    ]);
    expect(parts("@bob", [{ start: 0, length: 4, user: "b" }])).toEqual([{ text: "@bob", user: "b" }]);
  });
  test("initials", () => {
    expect(initials("Ada Lovelace")).toBe("AL");
    expect(initials("@ada")).toBe("A");
    expect(initials("محمد علي")).toBe("مع");
    expect(initials("")).toBe("?");
    expect(initials("  ")).toBe("?");
  });
  test("a colour is the same for ever", () => {
    expect(colourOf("0000000000000000000000000b")).toBe(colourOf("0000000000000000000000000b"));
  });
  test("a few emoji are large, digits are not", () => {
    expect(isJumbo("🥾⛰️")).toBe(true);
    expect(isJumbo("👩‍👧‍👦")).toBe(true);
    expect(isJumbo("12")).toBe(false);
    expect(isJumbo("ok 👍")).toBe(false);
    expect(isJumbo("😀😀😀😀")).toBe(false);
  });
});

describe("an invitation", () => {
  const here = "https://192.168.1.20:8460";
  const code = "c53361dc1d0c98d6f1fd";
  const pin = "617dde68".repeat(8);

  test("is taken as a code or as the line that holds it", () => {
    const good = { kind: "code", code };
    expect(readInvitation(` ${code} `, here)).toEqual(good);
    expect(readInvitation(`iris://192.168.1.20:8460/${code}/${pin}\n`, here)).toEqual(good);
    expect(readInvitation(`iris join iris://192.168.1.20:8460/${code}/${pin}`, here)).toEqual(good);
    expect(readInvitation(`iris://127.0.0.1:8460/${code}`, "http://127.0.0.1:8460")).toEqual(good);
    expect(readInvitation(`iris://Chat.example.org:443/${code}`, "https://chat.example.org")).toEqual(good);
    expect(readInvitation(`iris://[fd00::1]:8460/${code}`, "https://[fd00::1]:8460")).toEqual(good);
    expect(readInvitation("", here)).toEqual({ kind: "code", code: "" });
  });

  test("for another server says which", () => {
    const to = (line: string) => readInvitation(line, here);
    expect(to(`iris://10.0.0.9:8460/${code}/${pin}`)).toEqual({ kind: "elsewhere", url: "https://10.0.0.9:8460/" });
    expect(to(`iris://192.168.1.20:9000/${code}/${pin}`)).toEqual({
      kind: "elsewhere",
      url: "https://192.168.1.20:9000/",
    });
    expect(to(`iris://127.0.0.1:8460/${code}`)).toEqual({ kind: "elsewhere", url: "http://127.0.0.1:8460/" });
  });

  test("that was cut is told as such", () => {
    for (const line of [
      "iris://",
      "iris://192.168.1.20:8460",
      `iris://192.168.1.20:8460/${code}/617dde68`,
      `iris://192.168.1.20/${code}`,
      `see iris://192.168.1.20:8460/${code}/${pin}`,
    ]) {
      expect(readInvitation(line, here), line).toEqual({ kind: "broken" });
    }
  });
});

test("errors say what to do", () => {
  expect(errorText(new Offline())).toContain("cannot be reached");
  expect(errorText(new ApiError("HANDLE_TAKEN"))).toContain("Somebody has this handle");
  expect(errorText(new ApiError("INVALID_REQUEST", { fields: [{ field: "handle", message: "" }] }))).toContain(
    "A handle",
  );
  expect(errorText(new ApiError("SOMETHING_NEW"))).toContain("SOMETHING_NEW");
  expect(errorText(new Error("boom"))).toContain("boom");
});
