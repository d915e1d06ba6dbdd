export { startNodeThread } from './wasm/start-node-thread.ts';
