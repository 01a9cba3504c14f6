// The memory store under the contract.
import { MemoryObjectStore } from "../../src/object-store/memory.ts";
import { describeObjectStore } from "./object-store-contract.ts";

describeObjectStore("memory", async () => ({ store: new MemoryObjectStore(), close: async () => {} }));
