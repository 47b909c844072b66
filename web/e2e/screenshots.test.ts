/** Every screen in both themes and at phone width, into docs/screenshots. Run by `npm run screenshots`. */

import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, test } from "vitest";
import { openBrowser, Person } from "./people.js";
import { Server } from "./server.js";

const FOLDER = fileURLToPath(new URL("../../docs/screenshots/", import.meta.url));
const PHONE = { width: 390, height: 844 };
const TABLET = { width: 820, height: 1100 };
const DESK = { width: 1280, height: 800 };
const SAMPLES: readonly (readonly [string, string])[] = [
  ["mara", "Mara Lindqvist"],
  ["theo", "Théo Garnier"],
  ["nadia", "Nadia Haddad"],
  ["jun", "Jun Tanaka"],
  ["sam", "Sam Okafor"],
];

let server: Server;
let browser: Browser;
let me: Person;
const friends = new Map<string, Person>();

beforeAll(async () => {
  mkdirSync(FOLDER, { recursive: true });
  server = await Server.start();
  browser = await openBrowser();
}, 300_000);
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

async function shoot(page: Page, name: string): Promise<void> {
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    // Two frames: the colours are painted.
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
    await page.screenshot({ path: `${FOLDER}${name}-${theme}.png` });
  }
}

const friend = (handle: string): Person => {
  const found = friends.get(handle);
  if (found === undefined) throw new Error(handle);
  return found;
};

test("first screens", async () => {
  me = await Person.arrive(browser, server.url, "lena", { viewport: DESK });
  await me.page.getByLabel("Handle").waitFor();
  await shoot(me.page, "register");
  await me.page.getByRole("button", { name: "I have an account" }).click();
  await shoot(me.page, "log-in");
  await me.page.getByRole("button", { name: "Link with a code" }).click();
  await shoot(me.page, "log-in-with-code");
  await me.page.reload();
  await me.page.getByLabel("Handle").waitFor();
  await me.register("Lena Fischer");
  await me.page.getByRole("heading", { name: "No chats yet" }).waitFor();
  await shoot(me.page, "empty");
});

test("people who write", async () => {
  for (const [handle, name] of SAMPLES) {
    const one = await Person.arrive(browser, server.url, handle);
    await one.register(name);
    friends.set(handle, one);
  }
  const said: readonly (readonly [string, readonly string[]])[] = [
    ["sam", ["Keys are with the neighbour.", "Thanks again for watering the plants!"]],
    ["jun", ["Slides are in the shared folder", "@lena can you look at them before Monday?"]],
    ["nadia", ["مرحبا لينا! هل نلتقي يوم الجمعة؟", "👍"]],
    ["theo", ["Did the parcel arrive?", "The courier says yes, but…", "Anyway. Call me when you can"]],
  ];
  for (const [handle, texts] of said) {
    await friend(handle).startChat("lena");
    for (const text of texts) await friend(handle).write(text);
  }
  const mara = friend("mara");
  await mara.startChat("lena");
  await mara.write("Hey! Are we still on for the hike on Saturday?");
  await me.openChat("Mara Lindqvist");
  await me.sees("still on for the hike");
  await me.write("Yes! The forecast looks good: 18 degrees, hardly any wind");
  await me.write("I found a nice loop, about 14 km: https://example.org/trails/lake-loop");
  await mara.sees("lake-loop");
  await mara.act("lake-loop", "Reply");
  await mara.write("That one is beautiful. There is a small bakery halfway 🥐");
  await mara.write("Should I bring the big thermos?");
  await me.sees("big thermos");
  await me.act("big thermos", "Reply");
  await me.write("Please do. I bring sandwiches and the map");
  await me.message("bakery halfway").locator(".bubble").click({ button: "right" });
  await me.page.getByRole("menuitemcheckbox", { name: "React with ❤️" }).click();
  await mara.sees("sandwiches");
  await mara.message("sandwiches").locator(".bubble").click({ button: "right" });
  await mara.page.getByRole("menuitemcheckbox", { name: "React with 😂" }).click();
  await mara.write("🥾⛰️");
  await mara.write("Train at 7:42, platform 3. Don't be late this time 😉");
  await me.sees("platform 3");
  await me.write("I am never late. I arrive when the hike begins");
  await mara.sees("never late");
  await me.seesState("never late", "read");
});

test("the list and a conversation", async () => {
  const { page } = me;
  await me.page.getByRole("button", { name: "More about this chat" }).first().waitFor();
  await page.locator(".line-box", { hasText: "Sam Okafor" }).click({ button: "right" });
  await page.getByRole("menuitem", { name: "Mute" }).click();
  await page.getByRole("button", { name: "For a week" }).click();
  await page.locator(".line-box", { hasText: "Mara Lindqvist" }).click({ button: "right" });
  await page.getByRole("menuitem", { name: "Pin" }).click();
  await me.openChat("Jun Tanaka");
  await me.box().pressSequentially("Thank you, I will look at them toni");
  await me.openChat("Nadia Haddad");
  await me.write("Friday is perfect");
  await me.openChat("Mara Lindqvist");
  await page.locator(".line-box", { hasText: "Draft:" }).waitFor();
  await friend("theo").box().pressSequentially("Hello?");
  await page.locator(".line", { hasText: "typing…" }).waitFor();
  await shoot(page, "chat");
  await me.message("big thermos").first().locator(".bubble").click({ button: "right" });
  await shoot(page, "message-menu");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Emoji" }).click();
  await shoot(page, "emoji");
  await page.keyboard.press("Escape");
  await me.box().pressSequentially("Shall I ask @");
  await page.getByRole("listbox").waitFor();
  await shoot(page, "mention");
  await page.keyboard.press("Escape");
  await me.box().fill("");
  await me.openChat("Jun Tanaka");
  await page.locator(".mention.me").waitFor();
  await shoot(page, "mentioned");
  await me.openChat("Mara Lindqvist");
  await page.locator(".who").click();
  await page.getByRole("button", { name: "Add to contacts" }).click();
  await page.getByRole("button", { name: "Remove from contacts" }).waitFor();
  await shoot(page, "person");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Search in this chat" }).click();
  await page.locator(".chat-search input").fill("bakery");
  await page.locator("li.message.lit").waitFor();
  await shoot(page, "search-in-chat");
  await page.getByRole("button", { name: "Close the search" }).click();
  await page.getByLabel("Search people and messages").fill("the");
  await page.getByRole("heading", { name: "Messages" }).waitFor();
  await shoot(page, "search");
  await page.getByRole("button", { name: "Clear the search" }).click();
  await page.keyboard.press("Alt+n");
  await page.getByRole("dialog").waitFor();
  await shoot(page, "new-chat");
  await page.keyboard.press("Escape");
});

test("settings", async () => {
  const { page } = me;
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Privacy" }).waitFor();
  await shoot(page, "settings");
  for (const [name, file, ready] of [
    ["Appearance", "appearance", "Theme"],
    ["Notifications", "notifications", "Notifications"],
    ["Contacts", "contacts", "Contacts"],
    ["Blocked people", "blocked", "Blocked people"],
    ["Keyboard shortcuts", "shortcuts", "Keyboard shortcuts"],
    ["Privacy", "privacy", "Who may write to me"],
    ["Devices", "devices", "This device"],
    ["Password and account", "account", "Password now"],
  ] as const) {
    await page.getByRole("button", { name, exact: true }).click();
    await page.getByText(ready).first().waitFor();
    await shoot(page, file);
    if (file === "devices") {
      await page.getByRole("button", { name: "Show a code" }).click();
      await page.locator(".qr path[d^=M]").waitFor();
      await shoot(page, "link");
    }
    await page.getByRole("button", { name: "Back", exact: true }).click();
  }
  await page.getByRole("button", { name: "Back", exact: true }).click();
});

test("phone", async () => {
  const { page } = me;
  await me.openChat("Mara Lindqvist");
  await page.setViewportSize(TABLET);
  await shoot(page, "tablet");
  await page.setViewportSize(PHONE);
  await page.locator(".who").click();
  await page.getByRole("button", { name: "Block", exact: true }).waitFor();
  await shoot(page, "phone-person");
  await page.getByRole("button", { name: "Close", exact: true }).click();
  await page.getByRole("button", { name: "Back to the chats" }).click();
  await page.getByRole("heading", { name: "Chats", exact: true }).waitFor();
  await shoot(page, "phone-list");
  await me.openChat("Mara Lindqvist");
  await me.sees("never late");
  await shoot(page, "phone-chat");
  await page.getByRole("button", { name: "Back to the chats" }).click();
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Appearance" }).click();
  await page.getByText("العربية").click();
  await page.getByText("السمة").waitFor();
  await shoot(page, "phone-arabic-settings");
  await page.setViewportSize(DESK);
  await page.goto(server.url);
  await page.locator(".line", { hasText: "Nadia Haddad" }).click();
  await me.box().waitFor();
  await page.locator("li.message").first().waitFor();
  await shoot(page, "arabic");
  await page.getByRole("button", { name: "الإعدادات" }).click();
  await page.getByRole("button", { name: "المظهر" }).click();
  await page.getByText("English").click();
  await page.getByRole("button", { name: "Back", exact: true }).click();
  await page.getByRole("button", { name: "Back", exact: true }).click();
});

test("offline", async () => {
  const { page } = me;
  await server.kill();
  await me.openChat("Mara Lindqvist");
  await me.write("In the tunnel, this goes out when we are through");
  await page.locator(".banner.offline").waitFor();
  await shoot(page, "offline");
  await server.up();
  await me.message("In the tunnel").locator(".tick-queued").waitFor({ state: "detached", timeout: 60_000 });
});
