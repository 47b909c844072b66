/** What this browser is set to: theme, language, how Enter works, notifications. Kept outside the profile: it holds before a log-in too. */

import { signal } from "@preact/signals-core";
import { bestLanguage, isLanguage, type Language, language, wanted } from "../i18n/index.js";
import type { Permission, Ports } from "./ports.js";

export type Theme = "system" | "light" | "dark";
const THEMES: readonly Theme[] = ["system", "light", "dark"];

export class PreferencesModel {
  readonly theme = signal<Theme>("system");
  readonly enterSends = signal(true);
  readonly notify = signal(false);
  readonly preview = signal(true);
  readonly permission = signal<Permission>("default");

  constructor(private readonly ports: Ports) {
    const { store } = ports;
    const theme = store.get("theme");
    this.theme.value = THEMES.find((one) => one === theme) ?? "system";
    wanted.value = ports.languages;
    const chosen = store.get("language");
    language.value = isLanguage(chosen) ? chosen : bestLanguage(ports.languages);
    this.enterSends.value = store.get("enterSends") !== "no";
    this.preview.value = store.get("preview") !== "no";
    this.permission.value = ports.notices.permission();
    this.notify.value = store.get("notify") === "yes" && this.permission.value === "granted";
  }

  setTheme(theme: Theme): void {
    this.theme.value = theme;
    this.ports.store.set("theme", theme);
  }

  setLanguage(chosen: Language): void {
    language.value = chosen;
    this.ports.store.set("language", chosen);
  }

  setEnterSends(on: boolean): void {
    this.enterSends.value = on;
    this.ports.store.set("enterSends", on ? "yes" : "no");
  }

  setPreview(on: boolean): void {
    this.preview.value = on;
    this.ports.store.set("preview", on ? "yes" : "no");
  }

  /** Asks the browser when it was never asked. */
  async setNotify(on: boolean): Promise<void> {
    if (on && this.ports.notices.permission() === "default") await this.ports.notices.ask();
    this.permission.value = this.ports.notices.permission();
    this.notify.value = on && this.permission.value === "granted";
    this.ports.store.set("notify", this.notify.value ? "yes" : "no");
  }
}
