"""What import-linter can't say: a feature's routes and forms are its own."""

import grimp


def test_no_feature_uses_routes_or_forms_of_another() -> None:
    graph = grimp.build_graph("portal")
    strangers = [
        (importer, module)
        for module in graph.modules
        if module.count(".") > 1 and module.endswith(("routes", "forms")) and not module.startswith("portal.web.")
        for importer in graph.find_modules_that_directly_import(module)
        if importer.split(".")[1] != module.split(".")[1]
    ]
    assert not strangers
