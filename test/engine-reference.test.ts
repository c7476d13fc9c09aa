import { openReference } from "../src/engine/reference/reference.ts";
import { engineContract } from "./contract/engine.ts";

engineContract("reference", openReference);
