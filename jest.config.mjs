/** @type {import('jest').Config} */
export default {
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  // Types are checked by `npm run typecheck`; here each file is only transpiled (isolatedModules in tsconfig.json).
  transform: { '\\.ts$': 'ts-jest' },
  setupFilesAfterEnv: ['<rootDir>/test/seed.ts'],
  moduleNameMapper: { '^hadal$': '<rootDir>/lib/index.ts' },
  // Kernels use every core themselves.
  maxWorkers: 2,
  testTimeout: 180_000,
};
