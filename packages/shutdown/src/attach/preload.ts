/** Attaches before the function's code runs: `NODE_OPTIONS=--import=…`, or an import at the top of an ES module. */
import { registerExtension } from "../extension.ts";
import { attach } from "./attach.ts";

if (attach()) await registerExtension(); // before the runtime asks for an event, which closes the registration
