/** The parts of settings that live on the server: my names, privacy, devices, password. Each tells what went wrong. */

import type { Device, IrisClient, Me, Privacy } from "@iris-im/sdk";
import { signal } from "@preact/signals-core";
import { t } from "../i18n/index.js";
import { errorText } from "./words.js";

export class SettingsModel {
  readonly me = signal<Me | undefined>(undefined);
  readonly devices = signal<readonly Device[] | undefined>(undefined);
  readonly busy = signal(false);
  readonly failure = signal("");
  /** What was just done, for a moment. */
  readonly done = signal("");

  constructor(
    private readonly client: IrisClient,
    private readonly named: (me: Me) => void,
  ) {}

  /** A page was opened. */
  fresh(): void {
    this.failure.value = "";
    this.done.value = "";
  }

  loadMe(): Promise<void> {
    return this.run(async () => {
      this.me.value = await this.client.api.me();
    });
  }

  saveNames(name: string, handle: string): Promise<void> {
    return this.run(async () => {
      this.me.value = await this.client.api.updateMe({
        name: name.trim(),
        handle: handle.trim().replace(/^@/, "").toLowerCase(),
      });
      this.named(this.me.value);
      this.done.value = t("settings.saved");
    });
  }

  /** Shown at once, and taken back when the server says no. */
  async setPrivacy(change: Partial<Privacy>): Promise<void> {
    const before = this.me.value;
    if (before === undefined) return;
    this.me.value = { ...before, privacy: { ...before.privacy, ...change } };
    await this.run(async () => {
      this.me.value = await this.client.api.updateMe({ privacy: change });
    });
    if (this.failure.value !== "") this.me.value = before;
  }

  loadDevices(): Promise<void> {
    return this.run(async () => this.show(await this.client.api.devices()));
  }

  /** This device first, then the one that was here last. */
  show(devices: Device[]): void {
    this.devices.value = devices.sort(
      (one, other) => Number(other.current) - Number(one.current) || other.seenAt - one.seenAt,
    );
  }

  unlink(device: number): Promise<void> {
    return this.run(async () => {
      await this.client.api.unlink(device);
      this.devices.value = this.devices.value?.filter((one) => one.device !== device);
    });
  }

  unlinkOthers(): Promise<void> {
    return this.run(async () => {
      await this.client.api.logOutAll(true);
      this.devices.value = this.devices.value?.filter((one) => one.current);
    });
  }

  async changePassword(old: string, next: string): Promise<boolean> {
    await this.run(async () => {
      await this.client.api.changePassword(old, next);
      this.done.value = t("account.changed");
    });
    return this.failure.value === "";
  }

  async deleteAccount(password: string): Promise<boolean> {
    await this.run(() => this.client.api.deleteMe(password));
    return this.failure.value === "";
  }

  private async run(work: () => Promise<void>): Promise<void> {
    this.busy.value = true;
    this.failure.value = "";
    try {
      await work();
    } catch (error) {
      this.failure.value = errorText(error);
    } finally {
      this.busy.value = false;
    }
  }
}
