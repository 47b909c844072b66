/** People in browsers: each has a context of its own (storage, cache, service worker), as on a machine of its own. */

import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterEach } from "vitest";

export const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];
export const PASSWORD = "correct horse";
const PATIENCE_MS = 30_000;

export async function openBrowser(): Promise<Browser> {
  if (!existsSync(CHROMIUM)) throw new Error(`no Chromium at ${CHROMIUM}: make browser`);
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
}

const everybody = new Set<Person>();

/** Call once in a file of flows: what every page shows when a flow fails goes into test-results/. */
export function keepPictures(): void {
  afterEach(async ({ task }) => {
    if (task.result?.state !== "fail") return;
    const name = task.name.replace(/\W+/g, "-").slice(0, 60);
    for (const [n, one] of [...everybody].entries()) {
      if (one.page.isClosed()) continue;
      await one.page.screenshot({ path: `test-results/${name}-${n}-${one.handle}.png` }).catch(() => {});
      if (one.faults.length > 0) console.log(one.handle, one.faults);
    }
  });
}

export class Person {
  /** What went wrong in the page: errors, refused by the policy, requests to other hosts. */
  readonly faults: string[] = [];

  private constructor(
    readonly context: BrowserContext,
    readonly page: Page,
    readonly handle: string,
    private readonly url: string,
  ) {}

  static async arrive(
    browser: Browser,
    url: string,
    handle: string,
    options: BrowserContextOptions = {},
  ): Promise<Person> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const page = await context.newPage();
    const person = new Person(context, page, handle, url);
    person.watch(page);
    everybody.add(person);
    await page.goto(url);
    return person;
  }

  /** Another tab of the same browser. */
  async tab(): Promise<Person> {
    const page = await this.context.newPage();
    const person = new Person(this.context, page, this.handle, this.url);
    person.watch(page);
    everybody.add(person);
    await page.goto(this.url);
    return person;
  }

  private watch(page: Page): void {
    page.on("pageerror", (error) => this.faults.push(`error: ${error.stack ?? error.message}`));
    page.on("console", (message) => {
      const text = message.text();
      // Chromium logs every failed request; being offline is no fault of the page.
      if (message.type() === "error" && !/net::ERR|Failed to load resource|WebSocket connection/.test(text)) {
        this.faults.push(`console: ${text}`);
      }
    });
    page.on("request", (request) => {
      const { protocol, origin } = new URL(request.url());
      if (/^(http|ws)s?:$/.test(protocol) && origin !== this.url) this.faults.push(`third party: ${request.url()}`);
    });
  }

  async register(name: string): Promise<void> {
    const { page } = this;
    await page.getByLabel("Handle").fill(this.handle);
    await page.getByLabel("Your name").fill(name);
    await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
    await page.getByRole("button", { name: "Create account" }).click();
    await page.getByRole("heading", { name: "Chats", exact: true }).waitFor();
  }

  async logIn(): Promise<void> {
    const { page } = this;
    const switcher = page.getByRole("button", { name: "I have an account" });
    await page.getByLabel("Handle").waitFor();
    if (await switcher.isVisible()) await switcher.click();
    await page.getByLabel("Handle").fill(this.handle);
    await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "Chats", exact: true }).waitFor();
  }

  async startChat(handle: string): Promise<void> {
    await this.page.keyboard.press("Alt+n");
    const dialog = this.page.getByRole("dialog");
    await dialog.getByLabel("Handle").fill(handle);
    await dialog.getByRole("button", { name: "Start chat" }).click();
    await this.box().waitFor();
  }

  async openChat(name: string): Promise<void> {
    await this.page.locator(".line", { hasText: name }).first().click();
    await this.box().waitFor();
  }

  box() {
    return this.page.locator(".composer textarea");
  }

  async write(text: string): Promise<void> {
    await this.box().fill(text);
    await this.box().press("Enter");
  }

  /** The message of this text, as it stands in the conversation. */
  message(text: string) {
    return this.page.locator("li.message", { has: this.page.locator(".text", { hasText: text }) });
  }

  async sees(text: string): Promise<void> {
    await this.message(text).first().waitFor();
  }

  async seesState(text: string, state: string): Promise<void> {
    await this.message(text).first().locator(`.tick-${state}`).waitFor();
  }

  /** All texts of the conversation, in their order. */
  texts(): Promise<string[]> {
    return this.page.locator("li.message .text").allTextContents();
  }

  async act(text: string, action: string): Promise<void> {
    await this.message(text).first().locator(".bubble").click({ button: "right" });
    await this.page.getByRole("menuitem", { name: action }).click();
  }

  async leave(): Promise<void> {
    await this.context.close();
  }
}
