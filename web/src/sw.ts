/**
 * The service worker: keeps the files of the page, so that it opens without a network. It never sees a message: the API and
 * the WebSocket pass it by.
 */

interface WorkerScope {
  readonly location: Location;
  readonly registration: { scope: string };
  readonly clients: {
    claim(): Promise<void>;
    matchAll(options: object): Promise<{ focus(): Promise<unknown>; navigate(url: string): Promise<unknown> }[]>;
    openWindow(url: string): Promise<unknown>;
  };
  skipWaiting(): Promise<void>;
  addEventListener(kind: string, heard: (event: WorkerEvent) => void): void;
}
interface WorkerEvent {
  readonly request: Request;
  readonly notification: { readonly data: { path?: string } | undefined; close(): void };
  waitUntil(work: Promise<unknown>): void;
  respondWith(answer: Promise<Response>): void;
}

const scope = globalThis as unknown as WorkerScope;
const SHELL: readonly string[] = "__SHELL__".split(" "); // the build writes the list
const CACHE = "iris-shell-__VERSION__";
const ANSWER_MS = 2_000; // so long a slow network may keep the user from the kept page

scope.addEventListener("install", (event) => {
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(SHELL))
      .then(() => scope.skipWaiting()),
  );
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(
    caches
      .keys()
      .then((names) =>
        Promise.all(
          names.filter((name) => name.startsWith("iris-shell-") && name !== CACHE).map((name) => caches.delete(name)),
        ),
      )
      .then(() => scope.clients.claim()),
  );
});

scope.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method !== "GET" || url.origin !== scope.location.origin || url.pathname.startsWith("/v1/")) return;
  event.respondWith(url.pathname === "/" ? freshPage(event.request) : kept(event.request));
});

/** The page from the server, so that an update is seen; the kept one when no answer comes in time. */
async function freshPage(request: Request): Promise<Response> {
  const answered = fetch(request).then(
    (answer) => (answer.ok ? answer : undefined),
    () => undefined,
  );
  const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), ANSWER_MS));
  return (await Promise.race([answered, late])) ?? (await caches.match("/")) ?? (await answered) ?? Response.error();
}

/** Names of files change with their content, so what is kept is right. */
async function kept(request: Request): Promise<Response> {
  return (await caches.match(request, { ignoreVary: true })) ?? fetch(request);
}

scope.addEventListener("notificationclick", (event) => {
  event.notification.close();
  const url = `${scope.registration.scope}#${event.notification.data?.path ?? "/"}`;
  event.waitUntil(
    scope.clients.matchAll({ type: "window" }).then(async (windows) => {
      const [first] = windows;
      if (first === undefined) return scope.clients.openWindow(url);
      await first.focus();
      return first.navigate(url);
    }),
  );
});
