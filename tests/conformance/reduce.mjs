// Writes GitHub's description with only our endpoints in it: `node reduce.mjs [FILE]`, else to the standard output.

import { writeFileSync } from "node:fs";
import { description, endpoints, reduced } from "./openapi.mjs";

writeFileSync(process.argv[2] ?? "/dev/stdout", JSON.stringify(reduced(description(), endpoints())));
