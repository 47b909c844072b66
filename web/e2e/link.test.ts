/** A new device is let in by a code: scanned or typed, once, seen at once by the device that shows it, by keyboard, in Arabic. */

import type { Browser, Page } from "playwright-core";
import decodeQR from "qr/decode.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { scan } from "./axe.js";
import { keepPictures, openBrowser, Person } from "./people.js";
import { Server } from "./server.js";

let server: Server;
let browser: Browser;
let ada: Person;
let phone: Person;

keepPictures();
beforeAll(async () => {
  server = await Server.start();
  browser = await openBrowser();
  ada = await Person.arrive(browser, server.url, "ada", { bypassCSP: true, reducedMotion: "reduce" });
  phone = await Person.arrive(browser, server.url, "ada", {
    ...{ bypassCSP: true, reducedMotion: "reduce", viewport: { width: 360, height: 740 }, hasTouch: true },
  });
  await ada.register("Ada");
});
afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

const shownCode = (page: Page) => page.locator(".link-code strong");

/** What a camera reads from the screen. */
async function scanned(page: Page): Promise<string> {
  const picture = [...(await page.locator(".qr").screenshot())];
  const { width, height, data } = await page.evaluate(async (bytes) => {
    const image = await createImageBitmap(new Blob([new Uint8Array(bytes)], { type: "image/png" }));
    const { width, height } = image;
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context?.drawImage(image, 0, 0);
    return { width, height, data: [...(context?.getImageData(0, 0, width, height).data ?? [])] };
  }, picture);
  return decodeQR({ width, height, data: Uint8Array.from(data) });
}

test("the device screen shows a code, and the link that is scanned fills the form in on the new device", async () => {
  const { page } = ada;
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("button", { name: "Devices" }).click();
  await page.getByText("This device ·").waitFor();
  await page.getByRole("button", { name: "Show a code" }).click();
  await page.locator(".qr path[d^=M]").waitFor();
  await scan(page, "a code");
  const code = (await shownCode(page).textContent()) ?? "";
  expect(code).toMatch(/^[0-9A-Z]{4}-[0-9A-Z]{4}$/);
  const link = await scanned(page);
  expect(link).toBe(`${server.url}/#link=ada.${code}`);

  await phone.page.goto("about:blank");
  await phone.page.goto(link);
  await phone.page.getByRole("heading", { name: "Link this device" }).waitFor();
  expect(phone.page.url()).toBe(`${server.url}/#/`);
  await phone.page.getByText("A link has filled this in for @ada").waitFor();
  expect(await phone.page.getByLabel("Code").inputValue()).toBe(code);
  await scan(phone.page, "a link was opened");
  await phone.page.getByRole("button", { name: "Link this device" }).click();
  await phone.page.getByRole("heading", { name: "Chats", exact: true }).waitFor();

  await page.getByText("Linked now: Chrome on Linux").waitFor();
  await page.getByRole("button", { name: "Show a code" }).waitFor();
  expect(await page.locator(".person").count()).toBe(2);
  await scan(page, "linked");
});

test("a code that was used is refused, and by keyboard alone a new one is typed", async () => {
  const { page } = ada;
  const third = await Person.arrive(browser, server.url, "ada");
  await page.getByRole("button", { name: "Show a code" }).focus();
  await page.keyboard.press("Enter");
  const code = (await shownCode(page).textContent()) ?? "";
  const press = async (...keys: string[]) => {
    for (const key of keys) await third.page.keyboard.press(key);
  };
  await third.page.locator("input:focus").waitFor();
  await third.page.getByRole("button", { name: "Link with a code" }).focus();
  await press("Enter");
  await third.page.getByLabel("Handle").focus();
  await third.page.keyboard.type("ada");
  await press("Tab");
  await third.page.keyboard.type("0000-0000");
  await press("Enter");
  await third.page.getByRole("alert").filter({ hasText: "This code does not fit the handle" }).waitFor();
  await third.page.getByLabel("Code").focus();
  await press("Control+a");
  await third.page.keyboard.type(code.toLowerCase().replace("-", " "));
  await press("Enter");
  await third.page.getByRole("heading", { name: "Chats", exact: true }).waitFor();
  await page.locator(".person").nth(2).waitFor();

  const late = await Person.arrive(browser, server.url, "ada");
  await late.page.goto(`${server.url}/#link=ada.${code}`); // the page is there already: only what is behind # changes
  await late.page.getByRole("button", { name: "Link this device" }).click();
  await late.page.getByRole("alert").filter({ hasText: "was used, or is over" }).waitFor();
  await late.page.getByRole("button", { name: "Use my password" }).click();
  await late.page.getByRole("heading", { name: "Welcome back" }).waitFor();
  expect([third, late].flatMap((one) => one.faults)).toEqual([]);
  await late.leave();
  await third.leave();
});

test("where somebody is logged in a link changes nothing", async () => {
  await phone.page.goto(`${server.url}/#link=mallory.0000-0000`);
  await phone.page.getByText("Here you are logged in as @ada already").waitFor();
  expect(phone.page.url()).toBe(`${server.url}/#/`);
});

test("right to left and narrow", async () => {
  const { page } = phone;
  await page.evaluate(() => localStorage.setItem("iris/language", "ar"));
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto(`${server.url}/#/settings/devices`);
  await page.reload();
  await page.getByRole("button", { name: "أظهر رمزًا" }).click();
  await page.locator(".qr path[d^=M]").waitFor();
  expect(await scanned(page)).toMatch(/#link=ada\.[0-9A-Z-]{9}$/);
  await scan(page, "a code in Arabic");
  await page.setViewportSize({ width: 320, height: 640 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
  await scan(page, "a code in Arabic, narrow");
  await page.goto(server.url);
  await page.locator(".list-pane").waitFor();
  await scan(page, "the list in Arabic, narrow");
});

test("nothing went wrong in the pages", () => {
  expect([ada, phone].flatMap((one) => one.faults)).toEqual([]);
});
