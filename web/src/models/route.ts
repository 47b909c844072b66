/** The address behind `#` as a screen, and back. */

export const SETTINGS = [
  "",
  "profile",
  "look",
  "notifications",
  "privacy",
  "contacts",
  "blocked",
  "devices",
  "account",
  "keys",
] as const;
export type SettingsPage = (typeof SETTINGS)[number];

export type Route =
  | { readonly kind: "list" }
  | { readonly kind: "chat"; readonly conversation: string; readonly info: boolean }
  | { readonly kind: "settings"; readonly page: SettingsPage };

/** An address that makes no sense is the list. */
export function parseRoute(path: string): Route {
  const [kind, rest = "", more = ""] = path.replace(/^\/+/, "").split("/");
  if (kind === "chat" && /^[0-9a-f]{64}$/.test(rest))
    return { kind: "chat", conversation: rest, info: more === "info" };
  if (kind === "settings") {
    const page = SETTINGS.find((one) => one === rest);
    if (page !== undefined) return { kind: "settings", page };
  }
  return { kind: "list" };
}

export function routePath(route: Route): string {
  if (route.kind === "chat") return `/chat/${route.conversation}${route.info ? "/info" : ""}`;
  if (route.kind === "settings") return route.page === "" ? "/settings" : `/settings/${route.page}`;
  return "/";
}
