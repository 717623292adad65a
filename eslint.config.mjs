import js from "@eslint/js";
import prettier from "eslint-config-prettier";
import tseslint from "typescript-eslint";

export default tseslint.config(
  // bench/cdktf-init is checked where it is measured: the types of all of AWS's resources take ten seconds.
  { ignores: ["cdktf.out/", "**/node_modules/", "coverage/", "**/.gen/", "bench/cdktf-init/"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        projectService: true,
        tsconfigRootDir: import.meta.dirname ?? new URL(".", import.meta.url).pathname,
      },
    },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
    },
  },
  {
    files: ["**/*.{js,mjs,cjs}"],
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        require: "readonly",
        module: "writable",
        exports: "writable",
        setTimeout: "readonly",
        setInterval: "readonly",
        clearInterval: "readonly",
        clearTimeout: "readonly",
        fetch: "readonly",
        Buffer: "readonly",
        URL: "readonly",
      },
    },
  },
  // A room may only import what the layout allows: the function runs alone, and the lab reads what synth wrote.
  {
    files: ["function/**/*.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              group: ["../*", "cdktf", "cdktf/*", "@cdktf/*"],
              message: "function/ imports mysql2, the AWS SDK, node and itself only.",
            },
          ],
        },
      ],
    },
  },
  {
    files: ["modules/**/*.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              group: ["**/function/*", "**/lab/*"],
              message: "modules/ imports cdktf, provider bindings and itself only.",
            },
            {
              regex: "^@cdktf/provider-(aws|archive)$",
              message: "Import the resource's own path (lib/…): the package root costs seconds.",
            },
          ],
        },
      ],
    },
  },
  {
    files: ["lab/**/*.ts", "bench/**/*.ts"],
    rules: {
      "no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              group: ["**/modules/*", "**/function/*"],
              message: "The lab reads what `cdktf synth` wrote, so that what is proven is what is deployed.",
            },
          ],
        },
      ],
    },
  },
  prettier,
);
