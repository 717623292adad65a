/** Attaches from CommonJS, where nothing can be awaited before the runtime asks for its first event. */
import { registerExtensionNow } from "../extension.ts";
import { attach } from "./attach.ts";

if (attach()) registerExtensionNow();
