import { checkWeb, type WebOptions } from "./web";

const SERVER: WebOptions = { env: {}, handler: "./server", web: true };

test.each<readonly [options: object, message: string]>([
  [{ web: false, concurrency: 2 }, "--concurrency needs --web"],
  [{ handler: undefined }, "--web needs --handler <path>: a directory with your server"],
  [{ layer: ["/opt"] }, "--web cannot be used with --layer"],
  [{ extension: "internal" }, "--web cannot be used with --extension"],
  [{ managedInstances: 2 }, "--web cannot be used with --managed-instances"],
  [{ freezeBetween: true }, "--web cannot be used with --freeze-between"],
  [{ end: "timeout" }, "--web cannot be used with --end timeout: a Web Function ends by SIGTERM"],
  [{ runtime: "python3.14" }, "--web does not run on python3.14: AWS has Web Functions on nodejs24.x"],
])("%j is refused: %s", (options, message) => {
  expect(() => {
    checkWeb({ ...SERVER, ...options });
  }).toThrow(message);
});

test("a server with requests, --attach and --tcp is played", () => {
  const options = { attach: true, concurrency: 2, end: "spindown", tcp: [{ name: "pg", host: "::1", port: 5432 }] };
  expect(() => {
    checkWeb({ ...SERVER, ...options });
  }).not.toThrow();
});
