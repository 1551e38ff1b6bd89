/**
 * Builds the live page into dist/web: `vite build -c web/vite.config.mjs`, from any folder.
 */
import path from 'node:path';
import { defineConfig } from 'vite';

const here = import.meta.dirname;

export default defineConfig({
  root: here,
  // The page must also work behind a proxy that puts it under a path.
  base: './',
  build: {
    outDir: path.resolve(here, '../dist/web'),
    emptyOutDir: true,
    target: 'es2022',
    // Files, never data: addresses, so that the content security policy can stay at 'self'.
    assetsInlineLimit: 0,
    modulePreload: false,
  },
  server: { proxy: { '/api': 'http://127.0.0.1:8033' } },
});
