export { startWebThread } from './wasm/start-web-thread.ts';
