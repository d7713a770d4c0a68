package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sort"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"github.com/pulumi/pulumi/sdk/v3/python/toolchain"
)

// Prints a JSON list of the folders that hold installed packages.
const listPackageFolders = `import json, sysconfig
print(json.dumps(sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})))`

// requiredPackages lists what each installed SDK's pulumi-plugin.json asks for, sorted by name.
func requiredPackages(
	ctx context.Context, python toolchain.Toolchain,
) ([]*pulumirpc.PackageDependency, error) {
	cmd, err := python.Command(ctx, "-I", "-c", listPackageFolders)
	if err != nil {
		return nil, err
	}
	printed, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("asking %s where its packages are: %w", cmd.Path, err)
	}
	var folders []string
	if err := json.Unmarshal(printed, &folders); err != nil {
		return nil, fmt.Errorf("package folders of %s: %w", cmd.Path, err)
	}
	var packages []*pulumirpc.PackageDependency
	for _, folder := range folders {
		files, err := filepath.Glob(filepath.Join(folder, "*", "pulumi-plugin.json"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			required, err := readPackage(file)
			if err != nil {
				return nil, err
			}
			if required != nil {
				packages = append(packages, required)
			}
		}
	}
	sort.Slice(packages, func(i, j int) bool { return packages[i].Name < packages[j].Name })
	return packages, nil
}

// readPackage is nil for an SDK without a resource plugin.
func readPackage(file string) (*pulumirpc.PackageDependency, error) {
	described, err := plugin.LoadPulumiPluginJSON(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if !described.Resource {
		return nil, nil
	}
	folder := filepath.Dir(file)
	name, version := described.Name, described.Version
	if name == "" {
		name = strings.ReplaceAll(strings.TrimPrefix(filepath.Base(folder), "pulumi_"), "_", "-")
	}
	if version == "" {
		version = installedVersion(folder)
	}
	return &pulumirpc.PackageDependency{
		Name: name, Kind: string(apitype.ResourcePlugin), Version: version, Server: described.Server,
		Parameterization: parameterization(described.Parameterization),
		Extension:        parameterization(described.ExtensionParameterization),
	}, nil
}

// installedVersion is that of the distribution that brought the package, by the name of its
// metadata folder (pulumi_elasticstack-0.0.11.dist-info), or empty.
func installedVersion(packageFolder string) string {
	found, err := filepath.Glob(packageFolder + "-*.dist-info")
	if err != nil || len(found) != 1 {
		return ""
	}
	version := strings.TrimPrefix(filepath.Base(found[0]), filepath.Base(packageFolder)+"-")
	return strings.TrimSuffix(version, ".dist-info")
}

func parameterization(p *plugin.PulumiParameterizationJSON) *pulumirpc.PackageParameterization {
	if p == nil {
		return nil
	}
	return &pulumirpc.PackageParameterization{Name: p.Name, Version: p.Version, Value: p.Value}
}
